/* Sums of a convolution or linear layer with the DSP extension: two positions by two filters at a time, so that a
 * word that is read takes part in eight products. */
#ifndef BLOCKWISE_DSP_CONV_SUMS_H
#define BLOCKWISE_DSP_CONV_SUMS_H

#include "../plain.h"
#include "codes.h"

#define DSP_PATCH 128 /* bytes of inputs of one position that are gathered on the stack */

/* Sums of two positions (0, 1), each by two filters. */
struct tile {
    int32_t s00, s01, s10, s11;
};

/* Two positions and two filters side by side: where the first lies, and how far behind it the second. */
struct sides {
    const uint8_t *x, *w;
    uint32_t to_x, to_w;
};

/* Four products of each sum; a is of inputs, b of weights. */
KERNEL struct tile add_tile(struct tile t, uint32_t a0, uint32_t a1, uint32_t b0, uint32_t b1, bool pair)
{
    t.s00 = add_products(t.s00, a0, b0);
    t.s01 = add_products(t.s01, a0, b1);
    if (pair) {
        t.s10 = add_products(t.s10, a1, b0);
        t.s11 = add_products(t.s11, a1, b1);
    }
    return t;
}

KERNEL struct tile add_bytes(
    struct tile t, uint32_t x0, uint32_t x1, uint32_t w0, uint32_t w1, enum coding coding, bool pair)
{
    w0 = without_residue(w0, coding);
    w1 = without_residue(w1, coding);
    t = add_tile(t, even_bytes(x0), even_bytes(x1), even_bytes(w0), even_bytes(w1), pair);
    return add_tile(t, odd_bytes(x0), odd_bytes(x1), odd_bytes(w0), odd_bytes(w1), pair);
}

/* A run of n inputs, a byte each, by as many weights. */
KERNEL struct tile run_bytes(struct tile t, struct sides s, uint32_t n, enum coding coding, bool pair)
{
    const uint8_t *end = s.x + n / 4 * 4;
    for (; s.x != end; s.x += 4, s.w += 4) {
        uint32_t x1 = pair ? word_at(s.x + s.to_x) : 0;
        t = add_bytes(t, word_at(s.x), x1, word_at(s.w), word_at(s.w + s.to_w), coding, pair);
    }
    if (n % 4 == 0)
        return t;
    uint32_t x1 = pair ? part_at(s.x + s.to_x, n % 4) : 0;
    return add_bytes(
        t, part_at(s.x, n % 4), x1, part_at(s.w, n % 4), part_at(s.w + s.to_w, n % 4), coding, pair);
}

/* Weights k and k + 4, and k + 1 and k + 5, of eight; k is 0 or 2. */
struct pairs {
    uint32_t first, second;
};

KERNEL struct pairs weights_four_apart(const uint8_t *w, enum coding coding, uint32_t k)
{
    if (coding == STATES)
        return (struct pairs){signed_nibbles(word_at(w), k), signed_nibbles(word_at(w), k + 1)};
    uint32_t low = word_at(w), high = word_at(w + 4);
    uint32_t four = without_residue(k ? high_halves(low, high) : low_halves(low, high), coding);
    return (struct pairs){even_bytes(four), odd_bytes(four)};
}

/* Products behind the last eight, scaled as the others. */
KERNEL struct tile add_last_nibbles(struct tile t, struct sides s, uint32_t n, enum coding coding, bool pair)
{
    for (uint32_t k = 0; k < n; k++) {
        struct integers x0 = {s.x, UINT4}, x1 = {s.x + s.to_x, UINT4}, w0 = {s.w, coding}, w1 = {s.w + s.to_w, coding};
        int32_t scale = 1 << excess(coding), b0 = integer_at(w0, k) * scale, b1 = integer_at(w1, k) * scale;
        t.s00 += integer_at(x0, k) * b0;
        t.s01 += integer_at(x0, k) * b1;
        if (pair) {
            t.s10 += integer_at(x1, k) * b0;
            t.s11 += integer_at(x1, k) * b1;
        }
    }
    return t;
}

/* A run of n inputs of 4 bits, n even, that begins at a whole byte. */
KERNEL struct tile run_nibbles(struct tile t, struct sides s, uint32_t n, enum coding coding, bool pair)
{
    const uint8_t *end = s.x + n / 8 * 4;
    for (; s.x != end; s.x += 4, s.w += coding == STATES ? 4 : 8) {
        uint32_t x0 = word_at(s.x), x1 = pair ? word_at(s.x + s.to_x) : 0;
#pragma GCC unroll 2
        for (uint32_t k = 0; k < 4; k += 2) {
            struct pairs b0 = weights_four_apart(s.w, coding, k), b1 = weights_four_apart(s.w + s.to_w, coding, k);
            t = add_tile(t, nibbles(x0, k), nibbles(x1, k), b0.first, b1.first, pair);
            t = add_tile(t, nibbles(x0, k + 1), nibbles(x1, k + 1), b0.second, b1.second, pair);
        }
    }
    return n % 8 ? add_last_nibbles(t, s, n % 8, coding, pair) : t;
}

KERNEL struct tile run_of(struct tile t, struct sides s, uint32_t n, enum coding x, enum coding w, bool pair)
{
    return x == UINT4 ? run_nibbles(t, s, n, w, pair) : run_bytes(t, s, n, w, pair);
}

/* What to do with the sums of a tile: the position's output index, how far behind it the next position's. */
KERNEL void take_tile(struct tile t, enum coding w, uint32_t index, uint32_t next, bool two, bool pair, taker take, void *to)
{
    take(to, index, t.s00 >> excess(w));
    if (two)
        take(to, index + 1, t.s01 >> excess(w));
    if (!pair)
        return;
    take(to, index + next, t.s10 >> excess(w));
    if (two)
        take(to, index + next + 1, t.s11 >> excess(w));
}

/* All filters at one position or two neighbours, whose taps us by vs lie in the map. */
KERNEL void filters_at(
    struct geometry g, struct integers x, struct integers w, uint32_t first, uint32_t index,
    struct range us, struct range vs, bool pair, taker take, void *to)
{
    uint32_t size = g.kernel_height * g.kernel_width * g.channels, run = (vs.to - vs.from) * g.channels;
    for (uint32_t o = 0; o < g.filters; o += 2) {
        bool two = o + 1 < g.filters;
        struct tile t = {0, 0, 0, 0};
        for (uint32_t u = us.from; vs.from < vs.to && u < us.to; u++) {
            uint32_t from = first + (u * g.width + vs.from) * g.channels;
            uint32_t by = o * size + (u * g.kernel_width + vs.from) * g.channels;
            struct sides s = {
                x.at + bytes_of(x.coding, from), w.at + bytes_of(w.coding, by),
                bytes_of(x.coding, g.stride_x * g.channels), two ? bytes_of(w.coding, size) : 0};
            t = run_of(t, s, run, x.coding, w.coding, pair);
        }
        take_tile(t, w.coding, index + o, g.filters, two, pair, take, to);
    }
}

/* The inputs of one position in one run, with zeros for the padding. */
KERNEL void gather(struct geometry g, const uint8_t *x, uint32_t first, struct range us, struct range vs, uint8_t *patch)
{
    uint32_t size = g.kernel_height * g.kernel_width * g.channels, row = g.kernel_width * g.channels;
    bool whole = us.to - us.from == g.kernel_height && vs.to - vs.from == g.kernel_width;
    for (uint32_t k = 0; !whole && k < size; k++)
        patch[k] = 0;
    for (uint32_t u = us.from; u < us.to; u++) {
        const uint8_t *from = x + (first + u * g.width * g.channels + vs.from * g.channels);
        for (uint32_t k = 0; vs.from < vs.to && k < (vs.to - vs.from) * g.channels; k++)
            patch[u * row + vs.from * g.channels + k] = from[k];
    }
}

/* All filters at one position or two neighbours whose inputs were gathered. */
KERNEL void filters_at_patches(
    struct geometry g, const uint8_t *patch, struct integers w, uint32_t index, bool pair, taker take, void *to)
{
    uint32_t size = g.kernel_height * g.kernel_width * g.channels;
    for (uint32_t o = 0; o < g.filters; o += 2) {
        bool two = o + 1 < g.filters;
        struct sides s = {patch, w.at + o * size, DSP_PATCH, two ? size : 0};
        struct tile t = run_bytes((struct tile){0, 0, 0, 0}, s, size, w.coding, pair);
        take_tile(t, w.coding, index + o, g.filters, two, pair, take, to);
    }
}

KERNEL bool fast_conv(struct geometry g, enum coding x, enum coding w)
{
    uint32_t size = g.kernel_height * g.kernel_width * g.channels;
    if (x == UINT4) /* whole bytes; 4,096 times a sum of states must fit 31 bits */
        return g.channels % 2 == 0 && (w != STATES || size <= 4993);
    return x == INT8 && (w == INT8 || w == RESIDUE);
}

/* One row of positions whose runs lie in the map as they are. */
KERNEL void row_of_runs(
    struct geometry g, struct integers x, struct integers w, uint32_t b, uint32_t i, taker take, void *to)
{
    struct range us = taps_inside(i, g.stride_y, g.padding_y, g.kernel_height, g.height);
    for (uint32_t j = 0; j < g.columns;) {
        struct range vs = taps_inside(j, g.stride_x, g.padding_x, g.kernel_width, g.width);
        struct range next = taps_inside(j + 1, g.stride_x, g.padding_x, g.kernel_width, g.width);
        uint32_t index = ((b * g.rows + i) * g.columns + j) * g.filters, first = first_input(g, b, i, j);
        bool pair = j + 1 < g.columns && vs.from == 0 && next.from == 0 && next.to == g.kernel_width;
        struct range all = {0, g.kernel_width};
        if (pair)
            filters_at(g, x, w, first, index, us, all, true, take, to);
        else
            filters_at(g, x, w, first, index, us, vs, false, take, to);
        j += pair ? 2 : 1;
    }
}

/* One row of positions whose inputs are gathered first: few of them, or in runs that are no whole words. */
KERNEL void row_of_patches(
    struct geometry g, struct integers x, struct integers w, uint32_t b, uint32_t i, taker take, void *to)
{
    uint8_t patches[2 * DSP_PATCH] __attribute__((aligned(4)));
    struct range us = taps_inside(i, g.stride_y, g.padding_y, g.kernel_height, g.height);
    for (uint32_t j = 0; j < g.columns; j += 2) {
        uint32_t index = ((b * g.rows + i) * g.columns + j) * g.filters;
        bool pair = j + 1 < g.columns;
        for (uint32_t p = 0; p <= pair; p++) {
            struct range vs = taps_inside(j + p, g.stride_x, g.padding_x, g.kernel_width, g.width);
            gather(g, x.at, first_input(g, b, i, j + p), us, vs, patches + p * DSP_PATCH);
        }
        if (pair)
            filters_at_patches(g, patches, w, index, true, take, to);
        else
            filters_at_patches(g, patches, w, index, false, take, to);
    }
}

KERNEL void dsp_conv_sums(struct geometry g, struct integers x, struct integers w, taker take, void *to)
{
    uint32_t size = g.kernel_height * g.kernel_width * g.channels;
    bool patches = x.coding == INT8 && size <= DSP_PATCH && g.kernel_width * g.channels % 4 != 0;
    if (!fast_conv(g, x.coding, w.coding)) {
        plain_conv_sums(g, x, w, take, to);
        return;
    }
    for (uint32_t b = 0; b < g.images; b++)
        for (uint32_t i = 0; i < g.rows; i++) {
            if (patches)
                row_of_patches(g, x, w, b, i, take, to);
            else
                row_of_runs(g, x, w, b, i, take, to);
        }
}

#endif
