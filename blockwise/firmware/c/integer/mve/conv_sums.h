/* Sums of a convolution or linear layer with vectors: sixteen products of each of two positions by two filters. */
#ifndef BLOCKWISE_MVE_CONV_SUMS_H
#define BLOCKWISE_MVE_CONV_SUMS_H

#include "lanes.h"

/* Sums of two positions (0, 1), each by two filters. */
struct squares {
    int32_t s00, s01, s10, s11;
};

/* Two positions and two filters side by side: where the first lies, and how far behind it the second. */
struct runs {
    struct integers x, w;
    uint32_t to_x, to_w;
};

KERNEL struct squares add_sixteen(
    struct squares t, int8x16_t x0, int8x16_t x1, int8x16_t w0, int8x16_t w1, bool pair)
{
    t.s00 = vmladavaq(t.s00, x0, w0);
    t.s01 = vmladavaq(t.s01, x0, w1);
    if (pair) {
        t.s10 = vmladavaq(t.s10, x1, w0);
        t.s11 = vmladavaq(t.s11, x1, w1);
    }
    return t;
}

/* n products of each. */
KERNEL struct squares add_runs(struct squares t, struct runs r, uint32_t n, bool pair)
{
    const uint8_t *x = r.x.at, *w = r.w.at;
    enum coding cx = r.x.coding, cw = r.w.coding;
    for (uint32_t k = 0; k < n / 16; k++, x += bytes_of(cx, 16), w += bytes_of(cw, 16)) {
        int8x16_t x0 = sixteen_at(x, cx), x1 = pair ? sixteen_at(x + r.to_x, cx) : x0;
        t = add_sixteen(t, x0, x1, sixteen_at(w, cw), sixteen_at(w + r.to_w, cw), pair);
    }
    if (n % 16 == 0)
        return t;
    int8x16_t x0 = some_at(x, cx, n % 16), x1 = pair ? some_at(x + r.to_x, cx, n % 16) : x0;
    return add_sixteen(t, x0, x1, some_at(w, cw, n % 16), some_at(w + r.to_w, cw, n % 16), pair);
}

/* All filters at one position or two neighbours, whose taps us by vs lie in the map. */
KERNEL void mve_filters_at(
    struct geometry g, struct integers x, struct integers w, uint32_t first, uint32_t index, struct range us,
    struct range vs, bool pair, taker take, void *to)
{
    uint32_t size = g.kernel_height * g.kernel_width * g.channels, run = (vs.to - vs.from) * g.channels;
    uint32_t excess = mve_excess(w.coding);
    for (uint32_t o = 0; o < g.filters; o += 2) {
        bool two = o + 1 < g.filters;
        struct squares t = {0, 0, 0, 0};
        for (uint32_t u = us.from; vs.from < vs.to && u < us.to; u++) {
            uint32_t from = first + (u * g.width + vs.from) * g.channels;
            uint32_t by = o * size + (u * g.kernel_width + vs.from) * g.channels;
            struct runs r = {
                {x.at + bytes_of(x.coding, from), x.coding}, {w.at + bytes_of(w.coding, by), w.coding},
                bytes_of(x.coding, g.stride_x * g.channels), two ? bytes_of(w.coding, size) : 0};
            t = add_runs(t, r, run, pair);
        }
        take(to, index + o, t.s00 >> excess);
        if (two)
            take(to, index + o + 1, t.s01 >> excess);
        if (pair)
            take(to, index + g.filters + o, t.s10 >> excess);
        if (pair && two)
            take(to, index + g.filters + o + 1, t.s11 >> excess);
    }
}

KERNEL void mve_row(
    struct geometry g, struct integers x, struct integers w, uint32_t b, uint32_t i, taker take, void *to)
{
    struct range us = taps_inside(i, g.stride_y, g.padding_y, g.kernel_height, g.height);
    struct range all = {0, g.kernel_width};
    for (uint32_t j = 0; j < g.columns;) {
        struct range vs = taps_inside(j, g.stride_x, g.padding_x, g.kernel_width, g.width);
        struct range next = taps_inside(j + 1, g.stride_x, g.padding_x, g.kernel_width, g.width);
        uint32_t index = ((b * g.rows + i) * g.columns + j) * g.filters, first = first_input(g, b, i, j);
        bool pair = j + 1 < g.columns && vs.from == 0 && next.from == 0 && next.to == g.kernel_width;
        if (pair)
            mve_filters_at(g, x, w, first, index, us, all, true, take, to);
        else
            mve_filters_at(g, x, w, first, index, us, vs, false, take, to);
        j += pair ? 2 : 1;
    }
}

KERNEL void mve_conv_sums(struct geometry g, struct integers x, struct integers w, taker take, void *to)
{
    if (!mve_reads(x.coding, g.channels) || !mve_reads(w.coding, g.channels)) {
        plain_conv_sums(g, x, w, take, to);
        return;
    }
    for (uint32_t b = 0; b < g.images; b++)
        for (uint32_t i = 0; i < g.rows; i++)
            mve_row(g, x, w, b, i, take, to);
}

#endif
