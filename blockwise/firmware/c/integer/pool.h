/* Pools and their errors: docs/integer-arithmetic.md, "Element by element". */
#ifndef BLOCKWISE_POOL_H
#define BLOCKWISE_POOL_H

#include "activation.h"
#include "rounding.h"

/* Windows side by side. */
struct windows {
    uint32_t rows, columns;
};

/* Where place n of a window lies, whose first is at `at`: row by row. */
INLINE uint32_t in_window(struct map in, struct windows w, uint32_t at, uint32_t n)
{
    return at + (n / w.columns * in.columns + n % w.columns) * in.channels;
}

/* The place of the first of the largest numbers of a window; at is where place 0 lies. */
INLINE uint32_t largest_place(struct map in, struct windows w, struct integers x, uint32_t at)
{
    uint32_t place = 0;
    int32_t largest = integer_at(x, at);
    for (uint32_t n = 1; n < w.rows * w.columns; n++) {
        int32_t found = integer_at(x, in_window(in, w, at, n));
        if (found > largest) {
            largest = found;
            place = n;
        }
    }
    return place;
}

/* Codes are as wide as they were; places, where they are kept, take so many bits. */
INLINE void max_pool(
    struct map in, struct windows w, struct integers x, uint8_t *to, uint8_t *places, uint32_t place_bits)
{
    const uint32_t bits = x.coding == UINT4 ? 4 : 8;
    uint32_t i = 0;
    for (uint32_t b = 0; b < in.images; b++)
        for (uint32_t k = 0; k < in.rows / w.rows; k++)
            for (uint32_t l = 0; l < in.columns / w.columns; l++)
                for (uint32_t c = 0; c < in.channels; c++, i++) {
                    uint32_t at = in_map(in, b, w.rows * k, w.columns * l, c), place = largest_place(in, w, x, at);
                    put_next(to, bits, i, (uint32_t)integer_at(x, in_window(in, w, at, place)));
                    if (places)
                        put_next(places, place_bits, i, place);
                }
}

/* The error to where the largest was, 0 to all others: the whole map. */
INLINE void max_pool_backward(struct map in, struct errors e, enum coding coding, uint8_t *to)
{
    const struct geometry g = {.rows = in.rows, .columns = in.columns, .filters = in.channels};
    uint32_t at = 0;
    for (uint32_t b = 0; b < in.images; b++)
        for (uint32_t i = 0; i < in.rows; i++)
            for (uint32_t j = 0; j < in.columns; j++)
                for (uint32_t c = 0; c < in.channels; c++, at++)
                    put_error(to, coding, at, error_at(g, e, b, i, j, c));
}

/* sum 2^spare / count to the nearest, ties away from zero: of a power of two a shift. */
INLINE int32_t mean_of(int32_t sum, uint32_t count, int32_t spare)
{
    if (count & (count - 1)) {
        uint32_t magnitude = (((uint32_t)(sum < 0 ? -sum : sum) << spare) + count / 2) / count;
        return sum < 0 ? -(int32_t)magnitude : (int32_t)magnitude;
    }
    int32_t shift = bit_length(count) - 1 - spare;
    return shift > 0 ? nearest(sum, shift) : (int32_t)((uint32_t)sum << -shift);
}

/* Means of windows as int8. */
INLINE void avg_pool(struct map in, struct windows w, struct integers x, int32_t spare, uint8_t *to)
{
    for (uint32_t b = 0; b < in.images; b++)
        for (uint32_t k = 0; k < in.rows / w.rows; k++)
            for (uint32_t l = 0; l < in.columns / w.columns; l++)
                for (uint32_t c = 0; c < in.channels; c++) {
                    int32_t sum = 0;
                    for (uint32_t i = 0; i < w.rows; i++)
                        for (uint32_t j = 0; j < w.columns; j++)
                            sum += integer_at(x, in_map(in, b, k * w.rows + i, l * w.columns + j, c));
                    *to++ = (uint8_t)mean_of(sum, w.rows * w.columns, spare);
                }
}

/* Every input gets its window's error; what no whole window covers gets 0. */
INLINE void avg_pool_backward(struct map in, struct windows w, struct errors e, enum coding coding, uint8_t *to)
{
    const struct map out = {in.images, in.rows / w.rows, in.columns / w.columns, in.channels};
    uint32_t at = 0;
    for (uint32_t b = 0; b < in.images; b++)
        for (uint32_t i = 0; i < in.rows; i++)
            for (uint32_t j = 0; j < in.columns; j++)
                for (uint32_t c = 0; c < in.channels; c++, at++) {
                    uint32_t k = i / w.rows, l = j / w.columns;
                    int covered = k < out.rows && l < out.columns;
                    put_error(to, coding, at, covered ? integer_at(e.values, in_map(out, b, k, l, c)) : 0);
                }
}

#endif
