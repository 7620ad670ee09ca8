/* Sums of products of convolutions in groups or with dilation: the formulas of "Layers" for any geometry. */
#ifndef BLOCKWISE_GENERAL_H
#define BLOCKWISE_GENERAL_H

#include "plain.h"

KERNEL bool is_general(struct geometry g)
{
    return g.groups > 1 || g.dilation_y > 1 || g.dilation_x > 1;
}

/* The first channel that a filter sees. */
KERNEL uint32_t first_seen(struct geometry g, uint32_t o)
{
    return o / (g.filters / g.groups) * seen_channels(g);
}

/* The input under a tap at an output, along one side: beyond the map where negative. */
KERNEL uint32_t under(uint32_t output, uint32_t tap, uint32_t stride, uint32_t dilation, uint32_t padding)
{
    return output * stride + tap * dilation - padding;
}

/* Index of the first input that filter o meets under tap (u, v), and whether it lies in the map. */
struct met {
    uint32_t at;
    bool inside;
};

KERNEL struct met met_at(struct geometry g, uint32_t b, uint32_t i, uint32_t j, uint32_t u, uint32_t v, uint32_t o)
{
    uint32_t k = under(i, u, g.stride_y, g.dilation_y, g.padding_y);
    uint32_t l = under(j, v, g.stride_x, g.dilation_x, g.padding_x);
    return (struct met){((b * g.height + k) * g.width + l) * g.channels + first_seen(g, o), k < g.height && l < g.width};
}

KERNEL int32_t general_sum(struct geometry g, struct integers x, struct integers w, uint32_t b, uint32_t i, uint32_t j,
                           uint32_t o)
{
    const uint32_t seen = seen_channels(g);
    int32_t sum = 0;
    for (uint32_t u = 0; u < g.kernel_height; u++)
        for (uint32_t v = 0; v < g.kernel_width; v++) {
            struct met from = met_at(g, b, i, j, u, v, o);
            uint32_t by = ((o * g.kernel_height + u) * g.kernel_width + v) * seen;
            for (uint32_t c = 0; from.inside && c < seen; c++)
                sum = add_product(sum, integer_at(x, from.at + c), integer_at(w, by + c));
        }
    return sum;
}

/* y[b,i,j,o] */
KERNEL void general_conv_sums(struct geometry g, struct integers x, struct integers w, taker take, void *to)
{
    uint32_t index = 0;
    for (uint32_t b = 0; b < g.images; b++)
        for (uint32_t i = 0; i < g.rows; i++)
            for (uint32_t j = 0; j < g.columns; j++)
                for (uint32_t o = 0; o < g.filters; o++)
                    take(to, index++, general_sum(g, x, w, b, i, j, o));
}

/* The output of which a tap meets an input, along one side; beyond the map if there is none. */
KERNEL uint32_t output_over(
    uint32_t input, uint32_t tap, uint32_t stride, uint32_t dilation, uint32_t padding, uint32_t outputs)
{
    uint32_t last = input + padding, before = tap * dilation;
    return last < before || (last - before) % stride ? outputs : (last - before) / stride;
}

KERNEL int32_t general_input_sum(
    struct geometry g, struct errors e, struct integers w, uint32_t b, uint32_t k, uint32_t l, uint32_t c)
{
    const uint32_t seen = seen_channels(g), filters = g.filters / g.groups, first = c / seen * filters;
    int32_t sum = 0;
    for (uint32_t u = 0; u < g.kernel_height; u++) {
        uint32_t i = output_over(k, u, g.stride_y, g.dilation_y, g.padding_y, g.rows);
        for (uint32_t v = 0; i < g.rows && v < g.kernel_width; v++) {
            uint32_t j = output_over(l, v, g.stride_x, g.dilation_x, g.padding_x, g.columns);
            for (uint32_t o = first; j < g.columns && o < first + filters; o++) {
                uint32_t by = ((o * g.kernel_height + u) * g.kernel_width + v) * seen + c % seen;
                sum = add_product(sum, error_at(g, e, b, i, j, o), integer_at(w, by));
            }
        }
    }
    return sum;
}

/* ex[b,k,l,c] */
KERNEL void general_conv_input_sums(struct geometry g, struct errors e, struct integers w, taker take, void *to)
{
    uint32_t index = 0;
    for (uint32_t b = 0; b < g.images; b++)
        for (uint32_t k = 0; k < g.height; k++)
            for (uint32_t l = 0; l < g.width; l++)
                for (uint32_t c = 0; c < g.channels; c++)
                    take(to, index++, general_input_sum(g, e, w, b, k, l, c));
}

KERNEL int32_t general_weight_sum(
    struct geometry g, struct errors e, struct integers x, uint32_t o, uint32_t u, uint32_t v, uint32_t c)
{
    int32_t sum = 0;
    for (uint32_t b = 0; b < g.images; b++)
        for (uint32_t i = 0; i < g.rows; i++)
            for (uint32_t j = 0; j < g.columns; j++) {
                struct met from = met_at(g, b, i, j, u, v, o);
                if (from.inside)
                    sum = add_product(sum, error_at(g, e, b, i, j, o), integer_at(x, from.at + c));
            }
    return sum;
}

/* G[o,u,v,c] */
KERNEL void general_conv_weight_sums(struct geometry g, struct errors e, struct integers x, taker take, void *to)
{
    uint32_t index = 0;
    for (uint32_t o = 0; o < g.filters; o++)
        for (uint32_t u = 0; u < g.kernel_height; u++)
            for (uint32_t v = 0; v < g.kernel_width; v++)
                for (uint32_t c = 0; c < seen_channels(g); c++)
                    take(to, index++, general_weight_sum(g, e, x, o, u, v, c));
}

#endif
