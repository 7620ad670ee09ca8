/* Sums of products: all forms make the same sums, exactly. The compiler tells what the core has, unless one form is
 * asked for: BLOCKWISE_KERNELS_MVE (vectors: Cortex-M55), BLOCKWISE_KERNELS_DSP (the DSP extension: Cortex-M4, M7,
 * M33), or BLOCKWISE_KERNELS_PLAIN for all others.
 *
 *     conv_sums(g, x, w, take, to)           y[b,i,j,o]     = sum_u,v,c x[b,t i+u-d,t j+v-d,c] w[o,u,v,c]
 *     conv_input_sums(g, e, w, take, to)     ex[b,k,l,c]    = sum_o,u,v e[b,i,j,o] w[o,u,v,c], k = t i+u-d ...
 *     conv_weight_sums(g, e, x, take, to)    G[o,u,v,c]     = sum_b,i,j e[b,i,j,o] x[b,t i+u-d,t j+v-d,c]
 *
 * With dilation r, r u and r v stand in the place of u and v; in groups, a filter has the channels of its own.
 * Each calls take(to, index, sum) once for every element of its result, when its sum is complete, in any order; the
 * index is that of the element with its channels last. take overwrites nothing that is read afterwards. */
#ifndef BLOCKWISE_KERNELS_H
#define BLOCKWISE_KERNELS_H

#if !defined(BLOCKWISE_KERNELS_MVE) && !defined(BLOCKWISE_KERNELS_DSP) && !defined(BLOCKWISE_KERNELS_PLAIN)
#if defined(__ARM_FEATURE_MVE) && __ARM_FEATURE_MVE & 1
#define BLOCKWISE_KERNELS_MVE
#elif defined(__ARM_FEATURE_SIMD32) && defined(__ARM_FEATURE_DSP)
#define BLOCKWISE_KERNELS_DSP
#endif
#endif

#include "general.h"
#if defined(BLOCKWISE_KERNELS_MVE)
#include "mve/kernels.h"
#define OF_THIS_CORE(sums) mve_##sums
#elif defined(BLOCKWISE_KERNELS_DSP)
#include "dsp/kernels.h"
#define OF_THIS_CORE(sums) dsp_##sums
#else
#include "scalar.h"
#define OF_THIS_CORE(sums) scalar_##sums
#endif

KERNEL void conv_sums(struct geometry g, struct integers x, struct integers w, taker take, void *to)
{
    if (is_general(g))
        general_conv_sums(g, x, w, take, to);
    else
        OF_THIS_CORE(conv_sums)(g, x, w, take, to);
}

KERNEL void conv_input_sums(struct geometry g, struct errors e, struct integers w, taker take, void *to)
{
    if (is_general(g))
        general_conv_input_sums(g, e, w, take, to);
    else
        OF_THIS_CORE(conv_input_sums)(g, e, w, take, to);
}

KERNEL void conv_weight_sums(struct geometry g, struct errors e, struct integers x, taker take, void *to)
{
    if (is_general(g))
        general_conv_weight_sums(g, e, x, take, to);
    else
        OF_THIS_CORE(conv_weight_sums)(g, e, x, take, to);
}

#endif
