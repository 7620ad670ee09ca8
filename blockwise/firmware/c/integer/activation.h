/* Errors back through activations: docs/integer-arithmetic.md, "Element by element" and "NITRO-D". */
#ifndef BLOCKWISE_ACTIVATION_H
#define BLOCKWISE_ACTIVATION_H

#include "../common/packing.h"
#include "plain.h"

/* A map (images, rows, columns, channels). */
struct map {
    uint32_t images, rows, columns, channels;
};

INLINE uint32_t in_map(struct map m, uint32_t b, uint32_t i, uint32_t j, uint32_t c)
{
    return ((b * m.rows + i) * m.columns + j) * m.channels + c;
}

/* As wide as the error that was read. */
INLINE void put_error(uint8_t *to, enum coding coding, uint32_t i, int32_t error)
{
    if (coding == INT8)
        to[i] = (uint8_t)error;
    else
        ((int32_t *)(void *)to)[i] = error;
}

/* Of the errors of a map how many are held: behind a max pool one of each window. */
INLINE uint32_t held_errors(struct errors e, struct map m)
{
    uint32_t sides = e.positions ? (m.rows / e.window_y) * (m.columns / e.window_x) : m.rows * m.columns;
    return m.images * sides * m.channels;
}

/* Which element of the map error i is that of. */
INLINE uint32_t place_of(struct errors e, struct map m, uint32_t i)
{
    if (!e.positions)
        return i;
    uint32_t columns = m.columns / e.window_x, rows = m.rows / e.window_y, position = position_at(e, i);
    uint32_t window = i / m.channels, row = window / columns;
    uint32_t y = row % rows * e.window_y + position / e.window_x;
    uint32_t x = window % columns * e.window_x + position % e.window_x;
    return in_map(m, row / rows, y, x, i % m.channels);
}

/* NITI: the error where the sum was positive. Each is read, whatever the mask says. */
INLINE void relu_backward(struct map m, struct errors e, const uint8_t *mask, uint8_t *to)
{
    for (uint32_t i = 0; i < held_errors(e, m); i++) {
        int32_t passes = (int32_t)bits_at(mask, 1, place_of(e, m, i));
        put_error(to, e.values.coding, i, integer_at(e.values, i) & -passes);
    }
}

/* NITRO-D: what average pools leave to divide; an error may stay where it is. */
INLINE void nitro_divide(struct map m, struct errors e, int32_t divisor, enum coding coding, uint8_t *to)
{
    for (uint32_t i = 0; i < held_errors(e, m); i++)
        put_error(to, coding, i, integer_at(e.values, i) / divisor);
}

/* NITRO-D: what average pools leave to divide, then the slope: 1/4 below 0, 1 within, 0 at the limit. */
INLINE void nitro_relu_backward(
    struct map m, struct errors e, const uint8_t *ranges, int32_t divisor, uint8_t *to)
{
    for (uint32_t i = 0; i < held_errors(e, m); i++) {
        uint32_t range = bits_at(ranges, 2, place_of(e, m, i));
        int32_t error = integer_at(e.values, i) / divisor;
        put_error(to, e.values.coding, i, range == 0 ? error / 4 : range == 1 ? error : 0);
    }
}

#endif
