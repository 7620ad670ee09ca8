/* Convolutions, and linear layers as convolutions of one pixel: sums of products and both gradients.
 *
 * Weights (filters, kernel rows, kernel columns, channels) are seen filter by filter, as a board holds one
 * filter's codes at a time: filter_begins() unpacks it. Where weights and inputs are both codes, products are
 * summed as integers, which is exact. */
#ifndef BLOCKWISE_FLOATS_CONVOLUTION_H
#define BLOCKWISE_FLOATS_CONVOLUTION_H

#include "codes.h"

struct convolution {
    struct map in, out;
    int kernel_y, kernel_x, stride_y, stride_x, padding_y, padding_x, dilation_y, dilation_x, groups;
};

typedef float (*weight_at)(const float *held, int filter, int i);
typedef int (*level_at)(int i);                                          /* of the filter at hand */
typedef uint32_t (*codes_at)(int b, int y, int x, int c);                /* one code, or eight */

INLINE int channels_of_filter(struct convolution g) { return g.in.channels / g.groups; }

INLINE int filter_size(struct convolution g) { return g.kernel_y * g.kernel_x * channels_of_filter(g); }

INLINE int first_channel(struct convolution g, int filter) {
    return g.groups == 1 ? 0 : filter / (g.out.channels / g.groups) * channels_of_filter(g);
}

INLINE int row_of(struct convolution g, int out_y, int ky) {
    return out_y * g.stride_y + ky * g.dilation_y - g.padding_y;
}

INLINE int column_of(struct convolution g, int out_x, int kx) {
    return out_x * g.stride_x + kx * g.dilation_x - g.padding_x;
}

INLINE int within(int at, int size) { return (unsigned)at < (unsigned)size; }

/* One output of one filter. What lies outside of the input is zero. */
INLINE float sum_of_floats(struct convolution g, float_at input, weight_at weight, const float *held,
                                  int b, int out_y, int out_x, int filter) {
    const int count = channels_of_filter(g), first = first_channel(g, filter);
    float sum = 0.0f;
    for (int ky = 0; ky < g.kernel_y; ky++) {
        const int y = row_of(g, out_y, ky);
        if (!within(y, g.in.height))
            continue;
        for (int kx = 0; kx < g.kernel_x; kx++) {
            const int x = column_of(g, out_x, kx), at = (ky * g.kernel_x + kx) * count;
            if (!within(x, g.in.width))
                continue;
            for (int c = 0; c < count; c++)
                sum += input(held, b, y, x, first + c) * weight(held, filter, at + c);
        }
    }
    return sum;
}

/* The same of codes: `bits` is 0 where they come one by one, else that of the eight that come at once. */
INLINE int32_t sum_of_codes(struct convolution g, codes_at input, int bits, level_at level,
                                   int b, int out_y, int out_x, int filter) {
    const int count = channels_of_filter(g), first = first_channel(g, filter);
    int32_t sum = 0;
    for (int ky = 0; ky < g.kernel_y; ky++) {
        const int y = row_of(g, out_y, ky);
        if (!within(y, g.in.height))
            continue;
        for (int kx = 0; kx < g.kernel_x; kx++) {
            const int x = column_of(g, out_x, kx), at = (ky * g.kernel_x + kx) * count;
            if (!within(x, g.in.width))
                continue;
            if (!bits) {
                for (int c = 0; c < count; c++)
                    sum += (int32_t)input(b, y, x, first + c) * level(at + c);
                continue;
            }
            for (int c = 0; c < count; c += 8) {
                const uint32_t codes = input(b, y, x, first + c), mask = (1u << bits) - 1;
#pragma GCC unroll 8
                for (int i = 0; i < 8; i++)
                    sum += (int32_t)(codes >> i * bits & mask) * level(at + c + i);
            }
        }
    }
    return sum;
}

/* Outputs: sums times `scale`, that of the codes of weights, plus the filter's bias if there is one. */
INLINE void convolve_floats(struct convolution g, float_at input, weight_at weight, channel_begins begins,
                                   const float *held, float scale, const float *bias, float *out) {
    for (int filter = 0; filter < g.out.channels; filter++) {
        const float start = bias ? bias[filter] : 0.0f;
        begins(held, filter);
        for (int b = 0; b < g.out.batch; b++)
            for (int y = 0; y < g.out.height; y++)
                for (int x = 0; x < g.out.width; x++) {
                    const float sum = sum_of_floats(g, input, weight, held, b, y, x, filter) * scale;
                    out[element(g.out, b, y, x, filter)] = bias ? sum + start : sum;
                }
    }
}

INLINE void convolve_codes(struct convolution g, codes_at input, int bits, level_at level,
                                  channel_begins begins, const float *held, float scale, const float *bias,
                                  float *out) {
    for (int filter = 0; filter < g.out.channels; filter++) {
        const float start = bias ? bias[filter] : 0.0f;
        begins(held, filter);
        for (int b = 0; b < g.out.batch; b++)
            for (int y = 0; y < g.out.height; y++)
                for (int x = 0; x < g.out.width; x++) {
                    const int32_t whole = sum_of_codes(g, input, bits, level, b, y, x, filter);
                    const float sum = (float)whole * scale;
                    out[element(g.out, b, y, x, filter)] = bias ? sum + start : sum;
                }
    }
}

/* Where element (b, i, j, c) of the gradient of the output stands in its map: behind a max pool the gradient
 * has one element for each window. */
typedef struct spot (*stands_at)(int b, int i, int j, int c);

INLINE struct spot stands_there(int b, int i, int j, int c) {
    const struct spot found = {i, j};
    (void)b, (void)c;
    return found;
}

/* The gradient of the input, added to what is there; filters go by in turn, and a gradient of zero adds none. */
INLINE void add_input_gradient(struct convolution g, struct map errors, stands_at stands, float_at gradient,
                               weight_at weight, channel_begins begins, const float *held, float scale, float *to) {
    const int count = channels_of_filter(g);
    for (int filter = 0; filter < g.out.channels; filter++) {
        const int first = first_channel(g, filter);
        begins(held, filter);
        for (int b = 0; b < errors.batch; b++)
            for (int i = 0; i < errors.height; i++)
                for (int j = 0; j < errors.width; j++) {
                    const float error = gradient(held, b, i, j, filter) * scale;
                    const struct spot out = stands(b, i, j, filter);
                    if (error == 0.0f)
                        continue;
                    for (int ky = 0; ky < g.kernel_y; ky++) {
                        const int y = row_of(g, out.y, ky);
                        if (!within(y, g.in.height))
                            continue;
                        for (int kx = 0; kx < g.kernel_x; kx++) {
                            const int x = column_of(g, out.x, kx), at = (ky * g.kernel_x + kx) * count;
                            if (!within(x, g.in.width))
                                continue;
                            float *pixel = to + element(g.in, b, y, x, first);
                            for (int c = 0; c < count; c++)
                                pixel[c] += error * weight(held, filter, at + c);
                        }
                    }
                }
    }
}

/* The gradient of one filter where the output's has one element for each window: pixel by pixel. */
INLINE void filter_gradient_of_few(struct convolution g, struct map errors, stands_at stands, float_at input,
                                   float_at gradient, const float *held, int filter, float *to) {
    const int count = channels_of_filter(g), first = first_channel(g, filter);
    fill_floats(to, filter_size(g), 0.0f);
    for (int b = 0; b < errors.batch; b++)
        for (int i = 0; i < errors.height; i++)
            for (int j = 0; j < errors.width; j++) {
                const float error = gradient(held, b, i, j, filter);
                const struct spot out = stands(b, i, j, filter);
                for (int ky = 0; ky < g.kernel_y; ky++) {
                    const int y = row_of(g, out.y, ky);
                    if (!within(y, g.in.height))
                        continue;
                    for (int kx = 0; kx < g.kernel_x; kx++) {
                        const int x = column_of(g, out.x, kx), at = (ky * g.kernel_x + kx) * count;
                        if (!within(x, g.in.width))
                            continue;
                        for (int c = 0; c < count; c++)
                            to[at + c] += error * input(held, b, y, x, first + c);
                    }
                }
            }
}

/* A few neighbouring weights at a time, whose sums over all pixels stay in registers. Each image has its own
 * sums: so they are as exact as those of a few pixels. */
#define FLOATS_AT_ONCE 4

INLINE void filter_gradient(struct convolution g, float_at input, float_at gradient, const float *held,
                                   int filter, float *to) {
    const int count = channels_of_filter(g), first = first_channel(g, filter);
    for (int ky = 0; ky < g.kernel_y; ky++)
        for (int kx = 0; kx < g.kernel_x; kx++)
            for (int c = 0; c < count; c += FLOATS_AT_ONCE) {
                const int at = (ky * g.kernel_x + kx) * count + c;
                const int width = count % FLOATS_AT_ONCE && count - c < FLOATS_AT_ONCE ? count - c : FLOATS_AT_ONCE;
                float whole[FLOATS_AT_ONCE] = {0};
                for (int b = 0; b < g.out.batch; b++) {
                    float sum[FLOATS_AT_ONCE] = {0};
                    for (int out_y = 0; out_y < g.out.height; out_y++) {
                        const int y = row_of(g, out_y, ky);
                        if (!within(y, g.in.height))
                            continue;
                        for (int out_x = 0; out_x < g.out.width; out_x++) {
                            const int x = column_of(g, out_x, kx);
                            if (!within(x, g.in.width))
                                continue;
                            const float error = gradient(held, b, out_y, out_x, filter);
#pragma GCC unroll 4
                            for (int i = 0; i < FLOATS_AT_ONCE; i++)
                                if (count % FLOATS_AT_ONCE == 0 || i < width)
                                    sum[i] += error * input(held, b, y, x, first + c + i);
                        }
                    }
#pragma GCC unroll 4
                    for (int i = 0; i < FLOATS_AT_ONCE; i++)
                        whole[i] += sum[i];
                }
                for (int i = 0; i < width; i++)
                    to[at + i] = whole[i];
            }
}

/* The same of inputs that come as eight codes of `bits` bits, `step` apart. */
INLINE void filter_gradient_of_codes(struct convolution g, codes_at input, int bits, float step,
                                            float_at gradient, const float *held, int filter, float *to) {
    const int count = channels_of_filter(g), first = first_channel(g, filter);
    const uint32_t mask = (1u << bits) - 1;
    for (int ky = 0; ky < g.kernel_y; ky++)
        for (int kx = 0; kx < g.kernel_x; kx++)
            for (int c = 0; c < count; c += 8) {
                const int at = (ky * g.kernel_x + kx) * count + c;
                float whole[8] = {0};
                for (int b = 0; b < g.out.batch; b++) {
                    float sum[8] = {0};
                    for (int out_y = 0; out_y < g.out.height; out_y++) {
                        const int y = row_of(g, out_y, ky);
                        if (!within(y, g.in.height))
                            continue;
                        for (int out_x = 0; out_x < g.out.width; out_x++) {
                            const int x = column_of(g, out_x, kx);
                            if (!within(x, g.in.width))
                                continue;
                            const float error = gradient(held, b, out_y, out_x, filter);
                            const uint32_t codes = input(b, y, x, first + c);
#pragma GCC unroll 8
                            for (int i = 0; i < 8; i++)
                                sum[i] += error * (float)(int32_t)(codes >> i * bits & mask);
                        }
                    }
#pragma GCC unroll 8
                    for (int i = 0; i < 8; i++)
                        whole[i] += sum[i];
                }
                for (int i = 0; i < 8; i++)
                    to[at + i] = whole[i] * step;
            }
}

/* The gradient of a bias: the sum of its output's. */
INLINE void bias_gradient(struct map errors, float_at gradient, const float *held, float *to) {
    for (int c = 0; c < errors.channels; c++) {
        float whole = 0.0f;
        for (int b = 0; b < errors.batch; b++) {
            float sum = 0.0f;
            for (int y = 0; y < errors.height; y++)
                for (int x = 0; x < errors.width; x++)
                    sum += gradient(held, b, y, x, c);
            whole += sum;
        }
        to[c] = whole;
    }
}

#endif
