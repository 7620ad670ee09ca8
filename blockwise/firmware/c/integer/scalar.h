/* The kernels of sums for cores with neither vectors nor the DSP extension (Cortex-M0+, M3). */
#ifndef BLOCKWISE_SCALAR_H
#define BLOCKWISE_SCALAR_H

#include "sparse.h"

KERNEL void scalar_conv_sums(struct geometry g, struct integers x, struct integers w, taker take, void *to)
{
    plain_conv_sums(g, x, w, take, to);
}

KERNEL void scalar_conv_input_sums(struct geometry g, struct errors e, struct integers w, taker take, void *to)
{
    if (sparse_inputs(g, e))
        sparse_input_sums(g, e, w, plain_add_rows, take, to);
    else
        plain_conv_input_sums(g, e, w, take, to);
}

KERNEL void scalar_conv_weight_sums(struct geometry g, struct errors e, struct integers x, taker take, void *to)
{
    if (sparse_weights(g, e))
        sparse_weight_sums(g, e, x, plain_add_rows, take, to);
    else
        plain_conv_weight_sums(g, e, x, take, to);
}

#endif
