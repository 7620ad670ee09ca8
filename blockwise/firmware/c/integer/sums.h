/* The sums of products of the core that is built for: docs/integer-arithmetic.md, "Layers".
 *
 *     conv_sums(g, x, w, take, to)           y[b,i,j,o]     = sum_u,v,c x[b,t i+u-d,t j+v-d,c] w[o,u,v,c]
 *     conv_input_sums(g, e, w, take, to)     ex[b,k,l,c]    = sum_o,u,v e[b,i,j,o] w[o,u,v,c], k = t i+u-d ...
 *     conv_weight_sums(g, e, x, take, to)    G[o,u,v,c]     = sum_b,i,j e[b,i,j,o] x[b,t i+u-d,t j+v-d,c]
 *
 * Each calls take(to, index, sum) once for every element of its result, when its sum is complete, in any order; the
 * index is that of the element with its channels last. take overwrites nothing that is read afterwards. */
#ifndef BLOCKWISE_SUMS_H
#define BLOCKWISE_SUMS_H

#include "tiled.h"

#define conv_sums tiled_conv_sums
#define conv_input_sums tiled_conv_input_sums
#define conv_weight_sums tiled_conv_weight_sums

#endif
