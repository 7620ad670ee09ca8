/* Sums of the weights' gradient with the DSP extension: two filters by four weights of a kernel row at a time, reduced
 * over two neighbouring positions in a step. */
#ifndef BLOCKWISE_DSP_CONV_WEIGHT_SUMS_H
#define BLOCKWISE_DSP_CONV_WEIGHT_SUMS_H

#include "../blocks.h"
#include "codes.h"
#include "rows.h"

struct gradients {
    int32_t of[2][4];
};

/* Inputs of up to four weights at two positions. */
KERNEL struct channels inputs_of(const uint8_t *first, const uint8_t *second, enum coding coding, uint32_t count)
{
    if (count == 4)
        return by_channel(first, second, coding, true);
    if (coding == UINT4) { /* two in a byte */
        uint32_t both = low_halves(first[0], second[0]);
        return (struct channels){{nibbles(both, 0), nibbles(both, 1), 0, 0}};
    }
    uint32_t a = part_at(first, count), b = part_at(second, count);
    uint32_t low = low_halves(a, b), high = high_halves(a, b);
    return (struct channels){{even_bytes(low), odd_bytes(low), even_bytes(high), 0}};
}

KERNEL struct gradients add_positions(struct gradients t, uint32_t e, struct channels x, uint32_t count, bool two)
{
    uint32_t e0 = even_bytes(e), e1 = odd_bytes(e);
#pragma GCC unroll 4
    for (uint32_t k = 0; k < count; k++) {
        t.of[0][k] = add_products(t.of[0][k], e0, x.of[k]);
        if (two)
            t.of[1][k] = add_products(t.of[1][k], e1, x.of[k]);
    }
    return t;
}

/* count neighbouring positions of one row of errors. */
KERNEL struct gradients add_row(
    struct gradients t, struct geometry g, const uint8_t *e, const uint8_t *x, enum coding coding, uint32_t positions,
    struct weights s)
{
    uint32_t next = bytes_of(coding, g.stride_x * g.channels);
    for (const uint8_t *end = e + positions / 2 * 2 * g.filters; e != end; e += 2 * g.filters, x += 2 * next) {
        uint32_t a = s.two ? half_at(e) : e[0], b = s.two ? half_at(e + g.filters) : e[g.filters];
        t = add_positions(t, low_halves(a, b), inputs_of(x, x + next, coding, s.count), s.count, s.two);
    }
    if (positions % 2) /* the error behind is 0 */
        t = add_positions(t, s.two ? half_at(e) : e[0], inputs_of(x, x, coding, s.count), s.count, s.two);
    return t;
}

/* The sums of one block. */
KERNEL void block_sums(
    struct geometry g, struct errors e, struct integers x, struct weights s, taker take, void *to)
{
    struct gradients t = {{{0}}};
    struct range is = outputs_inside(s.u, g.stride_y, g.padding_y, g.rows, g.height);
    struct range js = common_outputs(g, s);
    for (uint32_t b = 0; b < g.images; b++)
        for (uint32_t i = is.from; i < is.to; i++) {
            const uint8_t *errors = e.values.at + ((b * g.rows + i) * g.columns + js.from) * g.filters + s.o;
            const uint8_t *inputs = x.at + bytes_of(x.coding, input_of(g, s, b, i, js.from));
            if (js.from < js.to)
                t = add_row(t, g, errors, inputs, x.coding, js.to - js.from, s);
        }
    int32_t sums[8];
    for (uint32_t f = 0; f <= s.two; f++)
        for (uint32_t k = 0; k < s.count; k++)
            sums[f * s.count + k] = t.of[f][k];
    take_block(g, e, x, s, sums, g.channels % 4 != 0, take, to);
}

KERNEL void dsp_conv_weight_sums(struct geometry g, struct errors e, struct integers x, taker take, void *to)
{
    bool fast = x.coding == UINT4 ? g.channels % 2 == 0 : x.coding == INT8;
    if (sparse_weights(g, e)) {
        sparse_weight_sums(g, e, x, dsp_adder(x.coding, g.channels), take, to);
        return;
    }
    if (e.positions != NULL || e.values.coding != INT8 || !fast || g.columns == 1) {
        plain_conv_weight_sums(g, e, x, take, to);
        return;
    }
    all_blocks(g, e, x, 4, block_sums, take, to);
}

#endif
