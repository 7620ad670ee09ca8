/* Sums of products for any core: those of plain.h, four neighbouring channels side by side.
 *
 * Channels are last in memory, so a row of a kernel and the inputs under it are two runs of numbers, and an error
 * that is read takes part in four sums. Errors of 0 are passed over: of those behind a ReLU that is half, of those
 * before a max pool three of four. */
#ifndef BLOCKWISE_TILED_H
#define BLOCKWISE_TILED_H

#include "plain.h"

#define TILE 4

KERNEL int32_t tiled_dot(struct integers x, uint32_t from, struct integers w, uint32_t by, uint32_t count)
{
    int32_t sum = 0;
    for (uint32_t n = 0; n < count; n++)
        sum = add_product(sum, integer_at(x, from + n), integer_at(w, by + n));
    return sum;
}

/* The sum of one output: of each row of the kernel those taps that meet the map. */
KERNEL int32_t tiled_sum(
    struct geometry g, struct integers x, struct integers w, uint32_t b, uint32_t i, uint32_t j, uint32_t o)
{
    struct range us = taps_inside(i, g.stride_y, g.padding_y, g.kernel_height, g.height);
    struct range vs = taps_inside(j, g.stride_x, g.padding_x, g.kernel_width, g.width);
    int32_t sum = 0;
    if (vs.to <= vs.from)
        return 0;
    for (uint32_t u = us.from; u < us.to; u++) {
        uint32_t k = i * g.stride_y + u - g.padding_y, l = j * g.stride_x + vs.from - g.padding_x;
        uint32_t from = ((b * g.height + k) * g.width + l) * g.channels;
        uint32_t by = ((o * g.kernel_height + u) * g.kernel_width + vs.from) * g.channels;
        sum += tiled_dot(x, from, w, by, (vs.to - vs.from) * g.channels);
    }
    return sum;
}

KERNEL void tiled_conv_sums(struct geometry g, struct integers x, struct integers w, taker take, void *to)
{
    uint32_t index = 0;
    for (uint32_t b = 0; b < g.images; b++)
        for (uint32_t i = 0; i < g.rows; i++)
            for (uint32_t j = 0; j < g.columns; j++)
                for (uint32_t o = 0; o < g.filters; o++)
                    take(to, index++, tiled_sum(g, x, w, b, i, j, o));
}

struct tile {
    int32_t of[TILE];
};

/* Adds a number times count neighbours. */
KERNEL void add_row(struct tile *sums, int32_t by, struct integers row, uint32_t from, uint32_t count)
{
    for (uint32_t n = 0; n < count; n++)
        sums->of[n] = add_product(sums->of[n], by, integer_at(row, from + n));
}

/* The errors of count neighbouring channels of an input. */
KERNEL struct tile input_tile(
    struct geometry g, struct errors e, struct integers w, uint32_t b, uint32_t k, uint32_t l, uint32_t c,
    uint32_t count)
{
    const uint32_t size = g.kernel_height * g.kernel_width * g.channels;
    struct tile sums = {{0}};
    for (uint32_t u = 0; u < g.kernel_height; u++) {
        uint32_t y = k + g.padding_y - u;
        if (k + g.padding_y < u || y % g.stride_y || y / g.stride_y >= g.rows)
            continue;
        for (uint32_t v = 0; v < g.kernel_width; v++) {
            uint32_t x = l + g.padding_x - v, by = (u * g.kernel_width + v) * g.channels + c;
            if (l + g.padding_x < v || x % g.stride_x || x / g.stride_x >= g.columns)
                continue;
            for (uint32_t o = 0; o < g.filters; o++) {
                int32_t error = error_at(g, e, b, y / g.stride_y, x / g.stride_x, o);
                if (error)
                    add_row(&sums, error, w, o * size + by, count);
            }
        }
    }
    return sums;
}

KERNEL void take_tile(struct tile sums, uint32_t index, uint32_t count, taker take, void *to)
{
    for (uint32_t n = 0; n < count; n++)
        take(to, index + n, sums.of[n]);
}

KERNEL void tiled_conv_input_sums(struct geometry g, struct errors e, struct integers w, taker take, void *to)
{
    for (uint32_t b = 0; b < g.images; b++)
        for (uint32_t k = 0; k < g.height; k++)
            for (uint32_t l = 0; l < g.width; l++) {
                uint32_t at = ((b * g.height + k) * g.width + l) * g.channels, c = 0;
                for (; c + TILE <= g.channels; c += TILE)
                    take_tile(input_tile(g, e, w, b, k, l, c, TILE), at + c, TILE, take, to);
                for (; c < g.channels; c++)
                    take_tile(input_tile(g, e, w, b, k, l, c, 1), at + c, 1, take, to);
            }
}

/* The gradients of the weights of count neighbouring channels at one tap. */
KERNEL struct tile weight_tile(
    struct geometry g, struct errors e, struct integers x, uint32_t o, uint32_t u, uint32_t v, uint32_t c,
    uint32_t count)
{
    struct range is = outputs_inside(u, g.stride_y, g.padding_y, g.rows, g.height);
    struct range js = outputs_inside(v, g.stride_x, g.padding_x, g.columns, g.width);
    struct tile sums = {{0}};
    for (uint32_t b = 0; b < g.images; b++)
        for (uint32_t i = is.from; i < is.to; i++)
            for (uint32_t j = js.from; j < js.to; j++) {
                uint32_t k = i * g.stride_y + u - g.padding_y, l = j * g.stride_x + v - g.padding_x;
                int32_t error = error_at(g, e, b, i, j, o);
                if (error)
                    add_row(&sums, error, x, ((b * g.height + k) * g.width + l) * g.channels + c, count);
            }
    return sums;
}

KERNEL void tiled_conv_weight_sums(struct geometry g, struct errors e, struct integers x, taker take, void *to)
{
    for (uint32_t o = 0; o < g.filters; o++)
        for (uint32_t u = 0; u < g.kernel_height; u++)
            for (uint32_t v = 0; v < g.kernel_width; v++) {
                uint32_t at = ((o * g.kernel_height + u) * g.kernel_width + v) * g.channels, c = 0;
                for (; c + TILE <= g.channels; c += TILE)
                    take_tile(weight_tile(g, e, x, o, u, v, c, TILE), at + c, TILE, take, to);
                for (; c < g.channels; c++)
                    take_tile(weight_tile(g, e, x, o, u, v, c, 1), at + c, 1, take, to);
            }
}

#endif
