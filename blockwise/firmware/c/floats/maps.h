/* Maps (batch, height, width, channels), channels last, and how kernels see their operands.
 *
 * An operand is a function that makes one element of it: it may read a tensor, decode a code, apply a norm's
 * scale and shift, or add a shortcut. Kernels are inlined where they are called, so that these functions are
 * no calls. `held` are the numbers that the functions need and that stay the same during an operation, as the
 * steps of quantizers. A flat tensor is a map of one pixel. */
#ifndef BLOCKWISE_FLOATS_MAPS_H
#define BLOCKWISE_FLOATS_MAPS_H

#include "exact.h"

/* Not every operation calls all of its functions. */
#define OPERAND INLINE __attribute__((unused))

struct map { int batch, height, width, channels; };

struct spot { int y, x; };

typedef float (*float_at)(const float *held, int b, int y, int x, int c);

/* What must be done before elements of channel c are asked for: its filter is unpacked. */
typedef void (*channel_begins)(const float *held, int c);

INLINE void nothing_begins(const float *held, int c) { (void)held, (void)c; }

INLINE int element(struct map m, int b, int y, int x, int c) {
    return ((b * m.height + y) * m.width + x) * m.channels + c;
}

INLINE int elements(struct map m) { return m.batch * m.height * m.width * m.channels; }

INLINE void fill_floats(float *to, int count, float value) {
    for (int i = 0; i < count; i++)
        to[i] = value;
}

INLINE void copy_floats(float *to, const float *from, int count) {
    for (int i = 0; i < count; i++)
        to[i] = from[i];
}

INLINE void add_floats(float *to, const float *from, int count) {
    for (int i = 0; i < count; i++)
        to[i] += from[i];
}

/* A gradient where there may be one already, to which it `adds`. */
INLINE void put_gradient(float *to, int adds, float value) { *to = adds ? *to + value : value; }

/* Every element of an operand, stored. */
INLINE void store_map(struct map m, float_at from, channel_begins begins, const float *held, float *to) {
    for (int c = 0; c < m.channels; c++) {
        begins(held, c);
        for (int b = 0; b < m.batch; b++)
            for (int y = 0; y < m.height; y++)
                for (int x = 0; x < m.width; x++)
                    to[element(m, b, y, x, c)] = from(held, b, y, x, c);
    }
}

/* The same added to what is there. */
INLINE void add_map(struct map m, float_at from, const float *held, float *to) {
    for (int b = 0; b < m.batch; b++)
        for (int y = 0; y < m.height; y++)
            for (int x = 0; x < m.width; x++)
                for (int c = 0; c < m.channels; c++)
                    to[element(m, b, y, x, c)] += from(held, b, y, x, c);
}

/* Every element of an operand, added to where it stands in a larger map. */
typedef int (*place_in_map)(int b, int y, int x, int c);

INLINE void add_part(struct map m, place_in_map place, float_at from, const float *held, float *to) {
    for (int b = 0; b < m.batch; b++)
        for (int y = 0; y < m.height; y++)
            for (int x = 0; x < m.width; x++)
                for (int c = 0; c < m.channels; c++)
                    to[place(b, y, x, c)] += from(held, b, y, x, c);
}

/* The gradient of a factor: of the product's times the other one, the sum over all places for which it stands. */
INLINE void factor_gradient(struct map whole, struct map mine, float_at gradient, float_at other, const float *held,
                            int adds, float *to) {
    const int rows = mine.height == whole.height ? 1 : whole.height, columns = mine.width == whole.width ? 1 : whole.width;
    const int channels = mine.channels == whole.channels ? 1 : whole.channels;
    for (int b = 0; b < mine.batch; b++)
        for (int y = 0; y < mine.height; y++)
            for (int x = 0; x < mine.width; x++)
                for (int c = 0; c < mine.channels; c++) {
                    float sum = 0.0f, *at = to + element(mine, b, y, x, c);
                    for (int i = y; i < y + rows; i++)
                        for (int j = x; j < x + columns; j++)
                            for (int k = c; k < c + channels; k++)
                                sum += gradient(held, b, i, j, k) * other(held, b, i, j, k);
                    put_gradient(at, adds, sum);
                }
}

#endif
