/* What attention is made of: products of two computed matrices, and the softmax of their rows.
 *
 * Matrices lie in maps, `count` of them in an image, one to a head. Functions that make or place an element see
 * (image, matrix, row, column). */
#ifndef BLOCKWISE_FLOATS_ATTENTION_H
#define BLOCKWISE_FLOATS_ATTENTION_H

#include "maps.h"

struct matrices { int batch, count, rows, columns; };

/* `factor` times left x right, whose rows and columns have `inner` elements. */
INLINE void multiply_matrices(struct matrices m, int inner, float factor, float_at left, float_at right,
                              place_in_map place, const float *held, int adds, float *to) {
    for (int b = 0; b < m.batch; b++)
        for (int h = 0; h < m.count; h++)
            for (int r = 0; r < m.rows; r++)
                for (int k = 0; k < m.columns; k++) {
                    float sum = 0.0f;
                    for (int i = 0; i < inner; i++)
                        sum += left(held, b, h, r, i) * right(held, b, h, i, k);
                    put_gradient(to + place(b, h, r, k), adds, factor * sum);
                }
}

/* exp(x - largest) by their sum, row by row; it may lie where the row lay. */
INLINE void softmax_of_rows(struct matrices m, float_at from, place_in_map place, const float *held, float *to) {
    for (int b = 0; b < m.batch; b++)
        for (int h = 0; h < m.count; h++)
            for (int r = 0; r < m.rows; r++) {
                float largest = from(held, b, h, r, 0), sum = 0.0f;
                for (int k = 1; k < m.columns; k++) {
                    const float x = from(held, b, h, r, k);
                    largest = x > largest ? x : largest;
                }
                for (int k = 0; k < m.columns; k++) {
                    const float x = exponential(from(held, b, h, r, k) - largest);
                    to[place(b, h, r, k)] = x;
                    sum += x;
                }
                for (int k = 0; k < m.columns; k++)
                    to[place(b, h, r, k)] /= sum;
            }
}

/* y (g - sum g y), the sum over the row of y, which softmax_of_rows made; it may lie where g lay. */
INLINE void softmax_backward(struct matrices m, float_at gradient, float_at y, place_in_map place, const float *held,
                             int adds, float *to) {
    for (int b = 0; b < m.batch; b++)
        for (int h = 0; h < m.count; h++)
            for (int r = 0; r < m.rows; r++) {
                float sum = 0.0f;
                for (int k = 0; k < m.columns; k++)
                    sum += gradient(held, b, h, r, k) * y(held, b, h, r, k);
                for (int k = 0; k < m.columns; k++) {
                    const float left = gradient(held, b, h, r, k) - sum;
                    put_gradient(to + place(b, h, r, k), adds, y(held, b, h, r, k) * left);
                }
            }
}

#endif
