/* Sums of the weights' gradient with vectors: two filters by eight weights of a kernel row at a time. */
#ifndef BLOCKWISE_MVE_CONV_WEIGHT_SUMS_H
#define BLOCKWISE_MVE_CONV_WEIGHT_SUMS_H

#include "../blocks.h"
#include "rows.h"

/* The sums of one block: all positions that all of its weights meet. */
KERNEL void mve_block_sums(
    struct geometry g, struct errors e, struct integers x, struct weights s, taker take, void *to)
{
    struct eight one = no_sums(), other = no_sums();
    struct range is = outputs_inside(s.u, g.stride_y, g.padding_y, g.rows, g.height);
    struct range js = common_outputs(g, s);
    uint32_t next = bytes_of(x.coding, g.stride_x * g.channels);
    int32_t sums[16];
    for (uint32_t b = 0; b < g.images; b++)
        for (uint32_t i = is.from; i < is.to; i++) {
            uint32_t first = ((b * g.rows + i) * g.columns + js.from) * g.filters + s.o;
            const int8_t *errors = (const int8_t *)e.values.at + first;
            const uint8_t *inputs = x.at + bytes_of(x.coding, input_of(g, s, b, i, js.from));
            for (uint32_t j = js.from; j < js.to; j++, errors += g.filters, inputs += next) {
                struct eight row = eight_at(inputs, x.coding, s.count);
                one = add_eight_products(one, row, errors[0]);
                if (s.two)
                    other = add_eight_products(other, row, errors[1]);
            }
        }
    store_eight(sums + s.count, other, x.coding); /* the other filter's first: eight of the one may reach into them */
    int32_t kept[8];
    store_eight(kept, one, x.coding);
    for (uint32_t k = 0; k < s.count; k++)
        sums[k] = kept[k];
    take_block(g, e, x, s, sums, g.channels % 8 != 0, take, to);
}

KERNEL void mve_conv_weight_sums(struct geometry g, struct errors e, struct integers x, taker take, void *to)
{
    if (sparse_weights(g, e)) {
        sparse_weight_sums(g, e, x, mve_adder(x.coding, g.channels), take, to);
        return;
    }
    if (e.positions != NULL || e.values.coding != INT8 || !mve_reads(x.coding, g.channels)) {
        plain_conv_weight_sums(g, e, x, take, to);
        return;
    }
    all_blocks(g, e, x, 8, mve_block_sums, take, to);
}

#endif
