/* Blocks of weights that fast kernels make the gradients of: a part of a kernel row, which the inputs hold in one run.
 * At the borders of the map some of a block's weights meet it and others do not: these positions are added alone. */
#ifndef BLOCKWISE_BLOCKS_H
#define BLOCKWISE_BLOCKS_H

#include "plain.h"

/* Weights of two filters, from `at` on in kernel row u, count of them. */
struct weights {
    uint32_t o, u, at, count;
    bool two; /* whether there is a second filter */
};

/* Positions at which all weights of the block meet the map; {0, 0} if there is none. */
KERNEL struct range common_outputs(struct geometry g, struct weights s)
{
    uint32_t first = s.at / g.channels, last = (s.at + s.count - 1) / g.channels;
    struct range a = outputs_inside(first, g.stride_x, g.padding_x, g.columns, g.width);
    struct range b = outputs_inside(last, g.stride_x, g.padding_x, g.columns, g.width);
    struct range both = {a.from > b.from ? a.from : b.from, smaller(a.to, b.to)};
    return both.from < both.to ? both : (struct range){0, 0};
}

/* Index of the input that the block's first weight meets at output (i, j). */
KERNEL uint32_t input_of(struct geometry g, struct weights s, uint32_t b, uint32_t i, uint32_t j)
{
    uint32_t k = b * g.height + i * g.stride_y + s.u - g.padding_y;
    return (k * g.width + j * g.stride_x - g.padding_x) * g.channels + s.at;
}

/* Weight k of the block and filter o: what columns from .. to - 1 of the errors add. */
KERNEL int32_t sum_of_columns(
    struct geometry g, struct errors e, struct integers x, struct weights s, struct range js, uint32_t o, uint32_t k)
{
    struct range is = outputs_inside(s.u, g.stride_y, g.padding_y, g.rows, g.height);
    int32_t sum = 0;
    for (uint32_t b = 0; b < g.images; b++)
        for (uint32_t i = is.from; i < is.to; i++)
            for (uint32_t j = js.from; j < js.to; j++)
                sum += error_at(g, e, b, i, j, o) * integer_at(x, input_of(g, s, b, i, j) + k);
    return sum;
}

/* What positions add that weight k of the block meets and not all of it (`common` are those that all meet). */
KERNEL int32_t sum_of_rest(
    struct geometry g, struct errors e, struct integers x, struct weights s, struct range common, uint32_t o,
    uint32_t k)
{
    struct range own = outputs_inside((s.at + k) / g.channels, g.stride_x, g.padding_x, g.columns, g.width);
    struct range before = {own.from, smaller(common.from, own.to)};
    struct range behind = {common.to > own.from ? common.to : own.from, own.to};
    return sum_of_columns(g, e, x, s, before, o, k) + sum_of_columns(g, e, x, s, behind, o, k);
}

/* Takes the sums of count weights of two filters, or of one; alone: whether there may be such positions. */
KERNEL void take_block(
    struct geometry g, struct errors e, struct integers x, struct weights s, const int32_t *sums, bool alone,
    taker take, void *to)
{
    uint32_t row = g.kernel_width * g.channels, index = (s.o * g.kernel_height + s.u) * row + s.at;
    struct range common = common_outputs(g, s);
    for (uint32_t f = 0; f <= s.two; f++)
        for (uint32_t k = 0; k < s.count; k++) {
            int32_t rest = alone ? sum_of_rest(g, e, x, s, common, s.o + f, k) : 0;
            take(to, index + f * g.kernel_height * row + k, sums[f * s.count + k] + rest);
        }
}

/* Makes the sums of one block. */
typedef void (*block_maker)(
    struct geometry g, struct errors e, struct integers x, struct weights s, taker take, void *to);

/* All blocks of one or two filters, `most` weights each but the last of a kernel row. */
KERNEL void filter_blocks(
    struct geometry g, struct errors e, struct integers x, uint32_t o, bool two, uint32_t most, block_maker make,
    taker take, void *to)
{
    uint32_t row = g.kernel_width * g.channels;
    for (uint32_t u = 0; u < g.kernel_height; u++) {
        for (uint32_t at = 0; at < row / most * most; at += most)
            make(g, e, x, (struct weights){o, u, at, most, two}, take, to);
        if (row % most)
            make(g, e, x, (struct weights){o, u, row / most * most, row % most, two}, take, to);
    }
}

/* Filters go in twos. */
KERNEL void all_blocks(
    struct geometry g, struct errors e, struct integers x, uint32_t most, block_maker make, taker take, void *to)
{
    for (uint32_t o = 0; o < g.filters / 2 * 2; o += 2)
        filter_blocks(g, e, x, o, true, most, make, take, to);
    if (g.filters % 2)
        filter_blocks(g, e, x, g.filters - 1, false, most, make, take, to);
}

#endif
