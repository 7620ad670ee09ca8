/* Sums of the input's error with the DSP extension: four channels of one or two neighbouring positions at a time,
 * reduced over four filters in a step. */
#ifndef BLOCKWISE_DSP_CONV_INPUT_SUMS_H
#define BLOCKWISE_DSP_CONV_INPUT_SUMS_H

#include "../pairs.h"
#include "../plain.h"
#include "codes.h"
#include "rows.h"

/* Four channels' sums of two positions, and the sums of their errors. */
struct inputs {
    int32_t sums[2][4], errors[2];
};

/* Products of two filters' errors with four channels' weights. */
KERNEL struct inputs add_filters(
    struct inputs t, uint32_t e0, uint32_t e1, const uint8_t *w, uint32_t apart, enum coding coding, bool few,
    bool pair)
{
    struct channels pairs = by_channel(w, w + apart, coding, few);
#pragma GCC unroll 4
    for (uint32_t k = 0; k < 4; k++) {
        t.sums[0][k] = add_products(t.sums[0][k], e0, pairs.of[k]);
        if (pair)
            t.sums[1][k] = add_products(t.sums[1][k], e1, pairs.of[k]);
    }
    if (coding == STATES && !few) {
        t.errors[0] = add_products(t.errors[0], e0, 0x00010001);
        t.errors[1] = pair ? add_products(t.errors[1], e1, 0x00010001) : 0;
    }
    return t;
}

/* One tap: all filters' errors e (and the next position's, `next` bytes behind), their weights `size` bytes apart. */
KERNEL struct inputs add_tap(
    struct inputs t, const uint8_t *e, uint32_t next, const uint8_t *w, uint32_t size, uint32_t filters,
    enum coding coding, bool few, bool pair)
{
    for (const uint8_t *end = e + filters / 4 * 4; e != end; e += 4, w += 4 * size) {
        uint32_t e0 = word_at(e), e1 = pair ? word_at(e + next) : 0;
        t = add_filters(t, even_bytes(e0), even_bytes(e1), w, 2 * size, coding, few, pair);
        t = add_filters(t, odd_bytes(e0), odd_bytes(e1), w + size, 2 * size, coding, few, pair);
    }
    if (filters % 4) {
        uint32_t e0 = part_at(e, filters % 4), e1 = pair ? part_at(e + next, filters % 4) : 0;
        uint32_t third = filters % 4 == 3 ? 2 * size : 0; /* where there is none, its error is 0 */
        t = add_filters(t, even_bytes(e0), even_bytes(e1), w, third, coding, few, pair);
        if (filters % 4 > 1)
            t = add_filters(t, odd_bytes(e0), odd_bytes(e1), w + size, 0, coding, few, pair);
    }
    return t;
}

/* Four channels from c on of the input (k, l), and of (k, l + 1). */
KERNEL void channels_at(
    struct geometry g, const uint8_t *e, struct integers w, uint32_t b, uint32_t k, uint32_t l, uint32_t c,
    struct taps us, struct taps vs, bool pair, taker take, void *to)
{
    uint32_t size = g.kernel_height * g.kernel_width * g.channels;
    uint32_t index = ((b * g.height + k) * g.width + l) * g.channels + c;
    bool few = g.filters * g.kernel_height * g.kernel_width <= 589; /* 4,096 times such a sum fits 31 bits */
    struct inputs t = {{{0}}, {0}};
    for (uint32_t u = us.from; u < us.to; u += us.step) {
        uint32_t i = (k + g.padding_y - u) / g.stride_y;
        for (uint32_t v = vs.from; v < vs.to; v += vs.step) {
            uint32_t j = (l + g.padding_x - v) / g.stride_x;
            const uint8_t *errors = e + ((b * g.rows + i) * g.columns + j) * g.filters;
            const uint8_t *weights = w.at + bytes_of(w.coding, (u * g.kernel_width + v) * g.channels + c);
            t = add_tap(t, errors, g.filters, weights, bytes_of(w.coding, size), g.filters, w.coding, few, pair);
        }
    }
    for (uint32_t p = 0; p <= pair; p++)
        for (uint32_t n = 0; n < 4; n++) {
            int32_t sum = t.sums[p][n];
            sum = w.coding == STATES && !few ? sum - 8 * t.errors[p] : sum >> excess(w.coding);
            take(to, index + p * g.channels + n, sum);
        }
}

/* All channels at (k, l), and at (k, l + 1). */
KERNEL void input_at(
    struct geometry g, struct errors e, struct integers w, uint32_t b, uint32_t k, uint32_t l,
    struct taps us, struct taps vs, bool pair, taker take, void *to)
{
    uint32_t index = ((b * g.height + k) * g.width + l) * g.channels;
    for (uint32_t c = 0; c < g.channels / 4 * 4; c += 4)
        channels_at(g, e.values.at, w, b, k, l, c, us, vs, pair, take, to);
    for (uint32_t p = 0; p <= pair; p++)
        for (uint32_t c = g.channels / 4 * 4; c < g.channels; c++)
            take(to, index + p * g.channels + c, plain_input_sum(g, e, w, b, k, l + p, c));
}

KERNEL void dsp_conv_input_sums(struct geometry g, struct errors e, struct integers w, taker take, void *to)
{
    bool fast = w.coding == STATES ? g.channels % 2 == 0 : w.coding != INT32;
    if (sparse_inputs(g, e)) {
        sparse_input_sums(g, e, w, dsp_adder(w.coding, g.channels), take, to);
        return;
    }
    if (e.positions != NULL || e.values.coding != INT8 || !fast) {
        plain_conv_input_sums(g, e, w, take, to);
        return;
    }
    input_rows(g, e, w, input_at, take, to);
}

#endif
