/* Sums of the input's error with vectors: eight channels of one or two neighbouring positions at a time. */
#ifndef BLOCKWISE_MVE_CONV_INPUT_SUMS_H
#define BLOCKWISE_MVE_CONV_INPUT_SUMS_H

#include "../pairs.h"
#include "rows.h"

/* Eight channels' sums of two positions. */
struct sixteen {
    struct eight of[2];
};

/* One tap: all filters' errors e (and the next position's, `next` behind), their weights `size` bytes apart. */
KERNEL struct sixteen mve_add_tap(
    struct sixteen t, const int8_t *e, uint32_t next, const uint8_t *w, uint32_t size, uint32_t filters,
    enum coding coding, uint32_t count, bool pair)
{
    for (uint32_t o = 0; o < filters; o++, w += size) {
        struct eight row = eight_at(w, coding, count);
        t.of[0] = add_eight_products(t.of[0], row, e[o]);
        if (pair)
            t.of[1] = add_eight_products(t.of[1], row, e[o + next]);
    }
    return t;
}

/* count <= 8 channels from c on of the input (k, l), and of (k, l + 1). */
KERNEL void mve_channels_at(
    struct geometry g, struct errors e, struct integers w, uint32_t b, uint32_t k, uint32_t l, uint32_t c,
    uint32_t count, struct taps us, struct taps vs, bool pair, taker take, void *to)
{
    uint32_t size = g.kernel_height * g.kernel_width * g.channels;
    uint32_t index = ((b * g.height + k) * g.width + l) * g.channels + c;
    struct sixteen t = {{no_sums(), no_sums()}};
    int32_t sums[8];
    for (uint32_t u = us.from; u < us.to; u += us.step) {
        uint32_t i = (k + g.padding_y - u) / g.stride_y;
        for (uint32_t v = vs.from; v < vs.to; v += vs.step) {
            uint32_t j = (l + g.padding_x - v) / g.stride_x;
            const int8_t *errors = (const int8_t *)e.values.at + ((b * g.rows + i) * g.columns + j) * g.filters;
            const uint8_t *weights = w.at + bytes_of(w.coding, (u * g.kernel_width + v) * g.channels + c);
            t = mve_add_tap(
                t, errors, g.filters, weights, bytes_of(w.coding, size), g.filters, w.coding, count, pair);
        }
    }
    for (uint32_t p = 0; p <= pair; p++) {
        store_eight(sums, t.of[p], w.coding);
        for (uint32_t n = 0; n < count; n++)
            take(to, index + p * g.channels + n, sums[n]);
    }
}

/* All channels at (k, l), and at (k, l + 1). */
KERNEL void mve_input_at(
    struct geometry g, struct errors e, struct integers w, uint32_t b, uint32_t k, uint32_t l, struct taps us,
    struct taps vs, bool pair, taker take, void *to)
{
    uint32_t whole = g.channels / 8 * 8;
    for (uint32_t c = 0; c < whole; c += 8)
        mve_channels_at(g, e, w, b, k, l, c, 8, us, vs, pair, take, to);
    if (whole < g.channels)
        mve_channels_at(g, e, w, b, k, l, whole, g.channels - whole, us, vs, pair, take, to);
}

KERNEL void mve_conv_input_sums(struct geometry g, struct errors e, struct integers w, taker take, void *to)
{
    if (sparse_inputs(g, e)) {
        sparse_input_sums(g, e, w, mve_adder(w.coding, g.channels), take, to);
        return;
    }
    if (e.positions != NULL || e.values.coding != INT8 || !mve_reads(w.coding, g.channels)) {
        plain_conv_input_sums(g, e, w, take, to);
        return;
    }
    input_rows(g, e, w, mve_input_at, take, to);
}

#endif
