/* Pools: the largest of each window and where it stood; means. And the shortcut of residual networks. */
#ifndef BLOCKWISE_FLOATS_POOLS_H
#define BLOCKWISE_FLOATS_POOLS_H

#include "activations.h"

struct pool {
    struct map in, out;
    int kernel_y, kernel_x, stride_y, stride_x, padding_y, padding_x;
};

/* Where place k of a window lies. */
INLINE struct spot spot_in_map(struct pool p, int out_y, int out_x, int k) {
    const struct spot found = {out_y * p.stride_y - p.padding_y + k / p.kernel_x,
                               out_x * p.stride_x - p.padding_x + k % p.kernel_x};
    return found;
}

/* The same, of a window that reaches beyond the map: of what is not there the nearest that is. */
INLINE struct spot nearest_spot_in_map(struct pool p, int out_y, int out_x, int k) {
    struct spot found = spot_in_map(p, out_y, out_x, k);
    if (found.y >= p.in.height) found.y = p.in.height - 1;
    if (found.x >= p.in.width) found.x = p.in.width - 1;
    return found;
}

INLINE int in_map(struct map m, struct spot at) {
    return (unsigned)at.y < (unsigned)m.height && (unsigned)at.x < (unsigned)m.width;
}

/* The first of the largest. */
INLINE int largest_of_window(struct pool p, float_at from, const float *held, int b, int out_y, int out_x, int c) {
    int best = -1;
    float most = 0.0f;
    for (int k = 0; k < p.kernel_y * p.kernel_x; k++) {
        const struct spot at = spot_in_map(p, out_y, out_x, k);
        if (!in_map(p.in, at))
            continue;
        const float value = from(held, b, at.y, at.x, c);
        if (best < 0 || value > most) {
            best = k;
            most = value;
        }
    }
    return best;
}

/* `to` is of floats, or null, then what is compared are the codes themselves, of `bits` bits; `argmax` may be missing. */
INLINE void max_pool(struct pool p, float_at from, const float *held, float *to, uint8_t *codes,
                            int bits, uint8_t *argmax, int argmax_bits) {
    struct code_writer values = {codes, 0, 0}, places = {argmax, 0, 0};
    for (int b = 0; b < p.out.batch; b++)
        for (int y = 0; y < p.out.height; y++)
            for (int x = 0; x < p.out.width; x++)
                for (int c = 0; c < p.out.channels; c++) {
                    const int k = largest_of_window(p, from, held, b, y, x, c);
                    const struct spot at = spot_in_map(p, y, x, k);
                    if (to)
                        to[element(p.out, b, y, x, c)] = from(held, b, at.y, at.x, c);
                    else
                        write_code(&values, bits, (uint32_t)from(held, b, at.y, at.x, c));
                    if (argmax)
                        write_code(&places, argmax_bits, (uint32_t)k);
                }
    if (!to)
        end_codes(&values);
    if (argmax)
        end_codes(&places);
}

/* Adds each gradient to where the largest stood. */
INLINE void add_max_pool_gradient(struct pool p, const float *gradient, const uint8_t *argmax, int bits, float *to) {
    for (int b = 0; b < p.out.batch; b++)
        for (int y = 0; y < p.out.height; y++)
            for (int x = 0; x < p.out.width; x++)
                for (int c = 0; c < p.out.channels; c++) {
                    const int e = element(p.out, b, y, x, c);
                    const struct spot at = spot_in_map(p, y, x, (int)code_at(argmax, bits, e));
                    to[element(p.in, b, at.y, at.x, c)] += gradient[e];
                }
}

/* Windows of means: rows y .. y_last - 1, as many values as are divided by. */
struct window { int y, y_last, x, x_last; float count; };

INLINE int least(int a, int b) { return a < b ? a : b; }
INLINE int most(int a, int b) { return a > b ? a : b; }

INLINE struct window window_of(struct pool p, int counts_padding, int out_y, int out_x) {
    const int y = out_y * p.stride_y - p.padding_y, x = out_x * p.stride_x - p.padding_x;
    const int y_last = least(y + p.kernel_y, p.in.height + p.padding_y);
    const int x_last = least(x + p.kernel_x, p.in.width + p.padding_x);
    struct window w = {most(y, 0), least(y_last, p.in.height), most(x, 0), least(x_last, p.in.width), 0.0f};
    w.count = (float)(counts_padding ? (y_last - y) * (x_last - x) : (w.y_last - w.y) * (w.x_last - w.x));
    return w;
}

/* Windows that leave as many values as are asked for. */
INLINE struct window adaptive_window(struct pool p, int out_y, int out_x) {
    struct window w = {out_y * p.in.height / p.out.height, ((out_y + 1) * p.in.height - 1) / p.out.height + 1,
                       out_x * p.in.width / p.out.width, ((out_x + 1) * p.in.width - 1) / p.out.width + 1, 0.0f};
    w.count = (float)((w.y_last - w.y) * (w.x_last - w.x));
    return w;
}

#define ADAPTIVE 2 /* else whether padding counts */

INLINE struct window any_window(struct pool p, int kind, int out_y, int out_x) {
    return kind == ADAPTIVE ? adaptive_window(p, out_y, out_x) : window_of(p, kind, out_y, out_x);
}

INLINE void mean_pool(struct pool p, int kind, float_at from, const float *held, float *to) {
    for (int b = 0; b < p.out.batch; b++)
        for (int out_y = 0; out_y < p.out.height; out_y++)
            for (int out_x = 0; out_x < p.out.width; out_x++) {
                const struct window w = any_window(p, kind, out_y, out_x);
                for (int c = 0; c < p.out.channels; c++) {
                    float sum = 0.0f;
                    for (int y = w.y; y < w.y_last; y++)
                        for (int x = w.x; x < w.x_last; x++)
                            sum += from(held, b, y, x, c);
                    to[element(p.out, b, out_y, out_x, c)] = sum / w.count;
                }
            }
}

INLINE void add_mean_pool_gradient(struct pool p, int kind, const float *gradient, float *to) {
    for (int b = 0; b < p.out.batch; b++)
        for (int out_y = 0; out_y < p.out.height; out_y++)
            for (int out_x = 0; out_x < p.out.width; out_x++) {
                const struct window w = any_window(p, kind, out_y, out_x);
                for (int y = w.y; y < w.y_last; y++)
                    for (int x = w.x; x < w.x_last; x++)
                        for (int c = 0; c < p.out.channels; c++)
                            to[element(p.in, b, y, x, c)] +=
                                gradient[element(p.out, b, out_y, out_x, c)] / w.count;
            }
}

/* Every stride-th pixel, its channels behind `before` that are zero (He et al. 2016, option A). */
INLINE void add_shortcut_gradient(struct map in, struct map out, int stride, int before, const float *gradient,
                                         float *to) {
    for (int b = 0; b < out.batch; b++)
        for (int y = 0; y < out.height; y++)
            for (int x = 0; x < out.width; x++)
                for (int c = 0; c < in.channels; c++)
                    to[element(in, b, y * stride, x * stride, c)] += gradient[element(out, b, y, x, before + c)];
}

#endif
