/* Norms: in place on the accumulator. Whoever reads normalised values applies scale and shift. */
#ifndef BLOCKWISE_FLOATS_NORMS_H
#define BLOCKWISE_FLOATS_NORMS_H

#include "maps.h"

/* Where a mean is taken: channels first .. last - 1 of images b .. b_last - 1. */
struct stretch { int b, b_last, first, last; };

/* The sum of what an operand has in a stretch, less `mean`, squared if asked; each image has a sum of its own. */
INLINE float sum_over(struct map m, struct stretch s, float_at from, const float *held, float mean, int squares) {
    float whole = 0.0f;
    for (int b = s.b; b < s.b_last; b++) {
        float sum = 0.0f;
        for (int y = 0; y < m.height; y++)
            for (int x = 0; x < m.width; x++)
                for (int c = s.first; c < s.last; c++) {
                    const float value = from(held, b, y, x, c) - mean;
                    sum += squares ? value * value : value;
                }
        whole += sum;
    }
    return whole;
}

INLINE int count_of(struct map m, struct stretch s) {
    return (s.b_last - s.b) * (s.last - s.first) * m.height * m.width;
}

struct moments { float mean, variance, scale; };

/* Mean first, then the squares of what is left. */
INLINE struct moments moments_of(struct map m, struct stretch s, float_at from, const float *held, float eps) {
    const float count = (float)count_of(m, s);
    struct moments found;
    found.mean = sum_over(m, s, from, held, 0.0f, 0) / count;
    found.variance = sum_over(m, s, from, held, found.mean, 1) / count;
    found.scale = inverse_root(found.variance + eps);
    return found;
}

INLINE void normalise(struct map m, struct stretch s, float_at from, const float *held, struct moments by, float *to) {
    for (int b = s.b; b < s.b_last; b++)
        for (int y = 0; y < m.height; y++)
            for (int x = 0; x < m.width; x++)
                for (int c = s.first; c < s.last; c++)
                    to[element(m, b, y, x, c)] = (from(held, b, y, x, c) - by.mean) * by.scale;
}

/* Batch norm (Ioffe & Szegedy 2015). `means` and `scales` are kept for the way back, `running` (means, then
 * variances) moves by `momentum`; each may be missing. */
INLINE void batch_norm(struct map m, float_at from, const float *held, float eps, float momentum,
                              float *to, float *means, float *scales, float *running) {
    for (int c = 0; c < m.channels; c++) {
        const struct stretch s = {0, m.batch, c, c + 1};
        const struct moments found = moments_of(m, s, from, held, eps);
        normalise(m, s, from, held, found, to);
        if (means)
            means[c] = found.mean;
        if (scales)
            scales[c] = found.scale;
        if (running) {
            const int count = count_of(m, s);
            const float unbiased = found.variance * ((float)count / (float)(count > 1 ? count - 1 : 1));
            float *variance = running + m.channels + c;
            running[c] += momentum * (found.mean - running[c]);
            *variance += momentum * (unbiased - *variance);
        }
    }
}

/* Group norm (Wu & He 2018): means of an image's groups of channels. */
INLINE void group_norm(struct map m, int groups, float_at from, const float *held, float eps, float *to,
                              float *scales) {
    const int size = m.channels / groups;
    for (int b = 0; b < m.batch; b++)
        for (int group = 0; group < groups; group++) {
            const struct stretch s = {b, b + 1, group * size, (group + 1) * size};
            const struct moments found = moments_of(m, s, from, held, eps);
            normalise(m, s, from, held, found, to);
            if (scales)
                scales[b * groups + group] = found.scale;
        }
}

/* Scale and shift, by the pair of each channel. */
INLINE void apply_pair(struct map m, const float *pair, float *to) {
    for (int i = 0; i < elements(m); i++)
        to[i] = to[i] * pair[i % m.channels] + pair[m.channels + i % m.channels];
}

/* Normalised once more by mean and 1 / std as they were. */
INLINE void normalise_again(struct map m, float_at from, const float *held, const float *means,
                                   const float *scales, float *to) {
    for (int c = 0; c < m.channels; c++) {
        const struct stretch s = {0, m.batch, c, c + 1};
        const struct moments by = {means[c], 0.0f, scales[c]};
        normalise(m, s, from, held, by, to);
    }
}

/* What goes back through a norm: sums of g and of g y over a stretch, g times the channel's scale. */
struct backward_sums { float gradient, product; };

INLINE struct backward_sums backward_sums_of(struct map m, struct stretch s, float_at gradient, float_at y_at,
                                                    const float *held, const float *gamma) {
    struct backward_sums whole = {0.0f, 0.0f};
    for (int b = s.b; b < s.b_last; b++) {
        struct backward_sums sum = {0.0f, 0.0f};
        for (int y = 0; y < m.height; y++)
            for (int x = 0; x < m.width; x++)
                for (int c = s.first; c < s.last; c++) {
                    const float g = gradient(held, b, y, x, c) * (gamma ? gamma[c] : 1.0f);
                    sum.gradient += g;
                    sum.product += g * y_at(held, b, y, x, c);
                }
        whole.gradient += sum.gradient;
        whole.product += sum.product;
    }
    return whole;
}

/* g -> scale (g' - mean g' - y mean g' y), g' = gamma g. */
INLINE void norm_gradient(struct map m, struct stretch s, float_at gradient, float_at y_at, const float *held,
                                 const float *gamma, float scale, float mean, float product, int adds, float *to) {
    for (int b = s.b; b < s.b_last; b++)
        for (int y = 0; y < m.height; y++)
            for (int x = 0; x < m.width; x++)
                for (int c = s.first; c < s.last; c++) {
                    const float g = gradient(held, b, y, x, c) * (gamma ? gamma[c] : 1.0f);
                    const float found = scale * (g - mean - y_at(held, b, y, x, c) * product);
                    put_gradient(to + element(m, b, y, x, c), adds, found);
                }
}

/* `gamma`, `bias_gradient` (scales, then shifts) and `to` may be missing. */
INLINE void batch_norm_backward(struct map m, float_at gradient, float_at y_at, const float *held,
                                       const float *gamma, const float *scales, float *bias_gradient, int adds, float *to) {
    for (int c = 0; c < m.channels; c++) {
        const struct stretch s = {0, m.batch, c, c + 1};
        const struct backward_sums sums = backward_sums_of(m, s, gradient, y_at, held, 0);
        const float count = (float)count_of(m, s), factor = gamma ? gamma[c] : 1.0f;
        if (bias_gradient) {
            bias_gradient[c] = sums.product;
            bias_gradient[m.channels + c] = sums.gradient;
        }
        if (to)
            norm_gradient(m, s, gradient, y_at, held, gamma, scales[c], factor * sums.gradient / count,
                          factor * sums.product / count, adds, to);
    }
}

INLINE void group_norm_backward(struct map m, int groups, float_at gradient, float_at y_at, const float *held,
                                       const float *gamma, const float *scales, float *bias_gradient, int adds, float *to) {
    const int size = m.channels / groups;
    for (int c = 0; bias_gradient && c < m.channels; c++) {
        const struct stretch s = {0, m.batch, c, c + 1};
        const struct backward_sums sums = backward_sums_of(m, s, gradient, y_at, held, 0);
        bias_gradient[c] = sums.product;
        bias_gradient[m.channels + c] = sums.gradient;
    }
    for (int b = 0; to && b < m.batch; b++)
        for (int group = 0; group < groups; group++) {
            const struct stretch s = {b, b + 1, group * size, (group + 1) * size};
            const struct backward_sums sums = backward_sums_of(m, s, gradient, y_at, held, gamma);
            const float count = (float)count_of(m, s);
            norm_gradient(m, s, gradient, y_at, held, gamma, scales[b * groups + group], sums.gradient / count,
                          sums.product / count, adds, to);
        }
}

/* As deployed: running statistics and the pair, if there is one, as one scale and one shift. */
INLINE void fold(int channels, const float *running, const float *pair, float eps, float *to) {
    for (int c = 0; c < channels; c++) {
        const float scale = (pair ? pair[c] : 1.0f) * inverse_root(running[channels + c] + eps);
        to[c] = scale;
        to[channels + c] = (pair ? pair[channels + c] : 0.0f) - running[c] * scale;
    }
}

#endif
