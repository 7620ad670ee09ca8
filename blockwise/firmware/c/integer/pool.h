/* Pools and their errors: docs/integer-arithmetic.md, "Element by element". */
#ifndef BLOCKWISE_POOL_H
#define BLOCKWISE_POOL_H

#include "activation.h"
#include "rounding.h"

/* The first of the largest of four numbers, and its place: 0 1 over 2 3; at is where place 0 lies. */
INLINE uint32_t largest_place(struct map in, struct integers x, uint32_t at)
{
    uint32_t place = 0;
    int32_t largest = integer_at(x, at);
    for (uint32_t n = 1; n < 4; n++) {
        int32_t found = integer_at(x, at + ((n >> 1) * in.columns + (n & 1)) * in.channels);
        if (found > largest) {
            largest = found;
            place = n;
        }
    }
    return place;
}

/* Codes are as wide as they were; places, where they are kept, take 2 bits. */
INLINE void max_pool(struct map in, struct integers x, uint8_t *to, uint8_t *places)
{
    const uint32_t bits = x.coding == UINT4 ? 4 : 8;
    uint32_t i = 0;
    for (uint32_t b = 0; b < in.images; b++)
        for (uint32_t k = 0; k < in.rows / 2; k++)
            for (uint32_t l = 0; l < in.columns / 2; l++)
                for (uint32_t c = 0; c < in.channels; c++, i++) {
                    uint32_t at = in_map(in, b, 2 * k, 2 * l, c), place = largest_place(in, x, at);
                    at += ((place >> 1) * in.columns + (place & 1)) * in.channels;
                    put_next(to, bits, i, (uint32_t)integer_at(x, at));
                    if (places)
                        put_next(places, 2, i, place);
                }
}

/* The error to where the largest was, 0 to all others: the whole map. */
INLINE void max_pool_backward(struct map in, struct errors e, uint8_t *to)
{
    const struct geometry g = {.rows = in.rows, .columns = in.columns, .filters = in.channels};
    uint32_t at = 0;
    for (uint32_t b = 0; b < in.images; b++)
        for (uint32_t i = 0; i < in.rows; i++)
            for (uint32_t j = 0; j < in.columns; j++)
                for (uint32_t c = 0; c < in.channels; c++, at++)
                    put_error(to, e.values.coding, at, error_at(g, e, b, i, j, c));
}

/* Means of windows of side x side as int8: the sum is rounded by shift, or shifted left where that is below 0. */
INLINE void avg_pool(struct map in, uint32_t side, struct integers x, int32_t shift, uint8_t *to)
{
    for (uint32_t b = 0; b < in.images; b++)
        for (uint32_t k = 0; k < in.rows / side; k++)
            for (uint32_t l = 0; l < in.columns / side; l++)
                for (uint32_t c = 0; c < in.channels; c++) {
                    int32_t sum = 0;
                    for (uint32_t i = 0; i < side; i++)
                        for (uint32_t j = 0; j < side; j++)
                            sum += integer_at(x, in_map(in, b, k * side + i, l * side + j, c));
                    *to++ = (uint8_t)(shift > 0 ? nearest(sum, shift) : sum << -shift);
                }
}

/* Every input gets its window's error; what no whole window covers gets 0. */
INLINE void avg_pool_backward(struct map in, uint32_t side, struct errors e, uint8_t *to)
{
    const struct map out = {in.images, in.rows / side, in.columns / side, in.channels};
    uint32_t at = 0;
    for (uint32_t b = 0; b < in.images; b++)
        for (uint32_t i = 0; i < in.rows; i++)
            for (uint32_t j = 0; j < in.columns; j++)
                for (uint32_t c = 0; c < in.channels; c++, at++) {
                    uint32_t k = i / side, l = j / side;
                    int covered = k < out.rows && l < out.columns;
                    put_error(to, e.values.coding, at, covered ? integer_at(e.values, in_map(out, b, k, l, c)) : 0);
                }
}

#endif
