/* Sums of products as the formulas of "Layers" say them: the reference of all faster forms. */
#ifndef BLOCKWISE_PLAIN_H
#define BLOCKWISE_PLAIN_H

#include "operands.h"

/* The error of one output element. */
KERNEL int32_t error_at(struct geometry g, struct errors e, uint32_t b, uint32_t i, uint32_t j, uint32_t o)
{
    if (e.positions == NULL)
        return integer_at(e.values, ((b * g.rows + i) * g.columns + j) * g.filters + o);
    uint32_t y = i / e.window_y, x = j / e.window_x, rows = g.rows / e.window_y, columns = g.columns / e.window_x;
    if (y >= rows || x >= columns)
        return 0; /* as of a last odd row or column, which the pool drops */
    uint32_t n = ((b * rows + y) * columns + x) * g.filters + o;
    return position_at(e, n) == i % e.window_y * e.window_x + j % e.window_x ? integer_at(e.values, n) : 0;
}

/* y[b,i,j,o], in any order. */
KERNEL void plain_conv_sums(struct geometry g, struct integers x, struct integers w, taker take, void *to)
{
    uint32_t index = 0;
    for (uint32_t b = 0; b < g.images; b++)
        for (uint32_t i = 0; i < g.rows; i++)
            for (uint32_t j = 0; j < g.columns; j++)
                for (uint32_t o = 0; o < g.filters; o++) {
                    struct range us = taps_inside(i, g.stride_y, g.padding_y, g.kernel_height, g.height);
                    struct range vs = taps_inside(j, g.stride_x, g.padding_x, g.kernel_width, g.width);
                    int32_t sum = 0;
                    for (uint32_t u = us.from; u < us.to; u++)
                        for (uint32_t v = vs.from; v < vs.to; v++) {
                            uint32_t k = i * g.stride_y + u - g.padding_y, l = j * g.stride_x + v - g.padding_x;
                            uint32_t from = ((b * g.height + k) * g.width + l) * g.channels;
                            uint32_t by = ((o * g.kernel_height + u) * g.kernel_width + v) * g.channels;
                            for (uint32_t c = 0; c < g.channels; c++)
                                sum = add_product(sum, integer_at(x, from + c), integer_at(w, by + c));
                        }
                    take(to, index++, sum);
                }
}

/* The sum of one input element's error. */
KERNEL int32_t plain_input_sum(
    struct geometry g, struct errors e, struct integers w, uint32_t b, uint32_t k, uint32_t l, uint32_t c)
{
    int32_t sum = 0;
    for (uint32_t u = 0; u < g.kernel_height; u++) {
        uint32_t y = k + g.padding_y - u;
        if (k + g.padding_y < u || y % g.stride_y || y / g.stride_y >= g.rows)
            continue;
        for (uint32_t v = 0; v < g.kernel_width; v++) {
            uint32_t x = l + g.padding_x - v;
            if (l + g.padding_x < v || x % g.stride_x || x / g.stride_x >= g.columns)
                continue;
            for (uint32_t o = 0; o < g.filters; o++)
                sum = add_product(
                    sum, error_at(g, e, b, y / g.stride_y, x / g.stride_x, o),
                    integer_at(w, ((o * g.kernel_height + u) * g.kernel_width + v) * g.channels + c));
        }
    }
    return sum;
}

/* ex[b,k,l,c], in any order. */
KERNEL void plain_conv_input_sums(struct geometry g, struct errors e, struct integers w, taker take, void *to)
{
    uint32_t index = 0;
    for (uint32_t b = 0; b < g.images; b++)
        for (uint32_t k = 0; k < g.height; k++)
            for (uint32_t l = 0; l < g.width; l++)
                for (uint32_t c = 0; c < g.channels; c++)
                    take(to, index++, plain_input_sum(g, e, w, b, k, l, c));
}

/* The sum of one weight's gradient. */
KERNEL int32_t plain_weight_sum(
    struct geometry g, struct errors e, struct integers x, uint32_t o, uint32_t u, uint32_t v, uint32_t c)
{
    struct range is = outputs_inside(u, g.stride_y, g.padding_y, g.rows, g.height);
    struct range js = outputs_inside(v, g.stride_x, g.padding_x, g.columns, g.width);
    int32_t sum = 0;
    for (uint32_t b = 0; b < g.images; b++)
        for (uint32_t i = is.from; i < is.to; i++)
            for (uint32_t j = js.from; j < js.to; j++) {
                uint32_t k = i * g.stride_y + u - g.padding_y, l = j * g.stride_x + v - g.padding_x;
                sum = add_product(
                    sum, error_at(g, e, b, i, j, o),
                    integer_at(x, ((b * g.height + k) * g.width + l) * g.channels + c));
            }
    return sum;
}

/* G[o,u,v,c], in any order. */
KERNEL void plain_conv_weight_sums(struct geometry g, struct errors e, struct integers x, taker take, void *to)
{
    uint32_t index = 0;
    for (uint32_t o = 0; o < g.filters; o++)
        for (uint32_t u = 0; u < g.kernel_height; u++)
            for (uint32_t v = 0; v < g.kernel_width; v++)
                for (uint32_t c = 0; c < g.channels; c++)
                    take(to, index++, plain_weight_sum(g, e, x, o, u, v, c));
}

#endif
