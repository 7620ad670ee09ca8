/* The order in which fast kernels make the input's error: two neighbours of a row at once where all taps of the
 * kernel meet both of them, else one. */
#ifndef BLOCKWISE_PAIRS_H
#define BLOCKWISE_PAIRS_H

#include "operands.h"

/* Makes all channels at (k, l), and at (k, l + 1) if they are a pair. */
typedef void (*input_maker)(
    struct geometry g, struct errors e, struct integers w, uint32_t b, uint32_t k, uint32_t l, struct taps us,
    struct taps vs, bool pair, taker take, void *to);

KERNEL void input_row(
    struct geometry g, struct errors e, struct integers w, uint32_t b, uint32_t k, input_maker make, taker take,
    void *to)
{
    struct taps us = taps_of_input(k, g.stride_y, g.padding_y, g.kernel_height, g.rows);
    struct taps all = {0, 1, g.kernel_width};
    for (uint32_t l = 0; l < g.width;) {
        struct taps vs = taps_of_input(l, g.stride_x, g.padding_x, g.kernel_width, g.columns);
        struct taps next = taps_of_input(l + 1, g.stride_x, g.padding_x, g.kernel_width, g.columns);
        bool pair = g.stride_x == 1 && l + 1 < g.width && vs.to == g.kernel_width && next.from == 0;
        if (pair)
            make(g, e, w, b, k, l, us, all, true, take, to);
        else
            make(g, e, w, b, k, l, us, vs, false, take, to);
        l += pair ? 2 : 1;
    }
}

KERNEL void input_rows(
    struct geometry g, struct errors e, struct integers w, input_maker make, taker take, void *to)
{
    for (uint32_t b = 0; b < g.images; b++)
        for (uint32_t k = 0; k < g.height; k++)
            input_row(g, e, w, b, k, make, take, to);
}

#endif
