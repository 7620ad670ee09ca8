/* Sums of products: all forms make the same sums, exactly. Which one is chosen when a program is built:
 * BLOCKWISE_KERNELS_MVE for cores with vectors (Cortex-M55), BLOCKWISE_KERNELS_DSP for those with the DSP
 * extension (Cortex-M4, M7, M33), none of the two for all others. */
#ifndef BLOCKWISE_KERNELS_H
#define BLOCKWISE_KERNELS_H

#if defined(BLOCKWISE_KERNELS_MVE)
#include "mve/kernels.h"
#elif defined(BLOCKWISE_KERNELS_DSP)
#include "dsp/kernels.h"
#else
#include "sparse.h"
#endif

/* y[b,i,j,o] */
KERNEL void conv_sums(struct geometry g, struct integers x, struct integers w, taker take, void *to)
{
#if defined(BLOCKWISE_KERNELS_MVE)
    mve_conv_sums(g, x, w, take, to);
#elif defined(BLOCKWISE_KERNELS_DSP)
    dsp_conv_sums(g, x, w, take, to);
#else
    plain_conv_sums(g, x, w, take, to);
#endif
}

/* ex[b,k,l,c] */
KERNEL void conv_input_sums(struct geometry g, struct errors e, struct integers w, taker take, void *to)
{
#if defined(BLOCKWISE_KERNELS_MVE)
    mve_conv_input_sums(g, e, w, take, to);
#elif defined(BLOCKWISE_KERNELS_DSP)
    dsp_conv_input_sums(g, e, w, take, to);
#else
    if (sparse(g, e))
        sparse_input_sums(g, e, w, plain_add_rows, take, to);
    else
        plain_conv_input_sums(g, e, w, take, to);
#endif
}

/* G[o,u,v,c] */
KERNEL void conv_weight_sums(struct geometry g, struct errors e, struct integers x, taker take, void *to)
{
#if defined(BLOCKWISE_KERNELS_MVE)
    mve_conv_weight_sums(g, e, x, take, to);
#elif defined(BLOCKWISE_KERNELS_DSP)
    dsp_conv_weight_sums(g, e, x, take, to);
#else
    if (sparse(g, e))
        sparse_weight_sums(g, e, x, plain_add_rows, take, to);
    else
        plain_conv_weight_sums(g, e, x, take, to);
#endif
}

#endif
