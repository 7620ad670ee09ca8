/* Learned step sizes (Esser et al. 2020, arXiv 1902.08153): s R(C(v / s, low, high)), and their gradients. */
#ifndef BLOCKWISE_FLOATS_LSQ_H
#define BLOCKWISE_FLOATS_LSQ_H

#include "codes.h"

/* The ends of the range. Two levels, -1 and 1, are no range: the sign decides. */
struct range { int low, high, binary; };

/* The integer that v stands for. */
INLINE int level_of(struct range r, float v, float step) {
    if (r.binary)
        return v >= 0.0f ? 1 : -1;
    return (int)rounded(clamped(v / step, (float)r.low, (float)r.high));
}

/* Codes count from zero. */
INLINE uint32_t code_of(struct range r, int level) {
    return (uint32_t)(r.binary ? level > 0 : level - r.low);
}

INLINE int level_of_code(struct range r, uint32_t code) {
    return r.binary ? (code ? 1 : -1) : (int)code + r.low;
}

/* Whether the straight-through estimator passes a gradient: both ends inside, before rounding. */
INLINE int inside(struct range r, float v, float step) {
    return (v >= (float)r.low * step) & (v <= (float)r.high * step);
}

/* What one value adds to the gradient of the step, but for a factor: g (s q - v) inside, g s q beyond. */
INLINE float step_share(struct range r, float g, float v, float step) {
    const float quantized = (float)level_of(r, v, step) * step;
    return g * (inside(r, v, step) ? quantized - v : quantized);
}

/* The gradient of the parameter p that |p| is the step of, from the sum of shares. */
INLINE float step_gradient(float sum, float p, float scale) {
    const float found = sum / size_of(p) * scale;
    return p < 0.0f ? -found : found;
}

/* From the gradient of a filter's quantized weights to that of its latent ones; the sum of shares. */
INLINE float pass_to_latent(struct range r, float *gradient, const float *latent, int count, float step) {
    float sum = 0.0f;
    for (int i = 0; i < count; i++) {
        sum += step_share(r, gradient[i], latent[i], step);
        if (!inside(r, latent[i], step))
            gradient[i] = 0.0f;
    }
    return sum;
}

/* The levels of one filter, as bytes or, of 16 bits, as half words. */
INLINE void quantize_filter8(int8_t *to, struct range r, const float *latent, int count, float step) {
    for (int i = 0; i < count; i++)
        to[i] = (int8_t)level_of(r, latent[i], step);
}

INLINE void quantize_filter16(int16_t *to, struct range r, const float *latent, int count, float step) {
    for (int i = 0; i < count; i++)
        to[i] = (int16_t)level_of(r, latent[i], step);
}

INLINE void unpack_filter8(int8_t *to, struct range r, const uint8_t *codes, int bits, int first, int count) {
    for (int i = 0; i < count; i++)
        to[i] = (int8_t)level_of_code(r, code_at(codes, bits, first + i));
}

INLINE void unpack_filter16(int16_t *to, struct range r, const uint8_t *codes, int bits, int first, int count) {
    for (int i = 0; i < count; i++)
        to[i] = (int16_t)level_of_code(r, code_at(codes, bits, first + i));
}

/* Weights as deployed. */
INLINE void pack_weights(uint8_t *codes, int bits, struct range r, const float *latent, int count, float step) {
    struct code_writer w = write_codes(codes, bits, 0);
    for (int i = 0; i < count; i++)
        write_code(&w, bits, code_of(r, level_of(r, latent[i], step)));
    end_codes(&w);
}

#endif
