/* Weights of which only the first channels are trained: these are floats, the others lie apart.
 *
 * The first `outputs` filters are trained in part: at each position of the kernel the first `inputs` of its
 * `channels`, and one more at the first `more` positions (of a linear layer behind a map, whose features go by
 * channel). Both parts lie in the order of the whole, one filter behind the other, without what is in the other. */
#ifndef BLOCKWISE_FLOATS_SHARES_H
#define BLOCKWISE_FLOATS_SHARES_H

#include "lsq.h"

struct share { int outputs, inputs, more, channels, size; };

/* The channels of a position that are trained. */
INLINE int trained_at(struct share s, int position) { return s.inputs + (position < s.more); }

/* Trained weights of a filter before a position. */
INLINE int trained_before(struct share s, int position) {
    return position * s.inputs + (position < s.more ? position : s.more);
}

INLINE int trained_of_filter(struct share s) { return trained_before(s, s.size / s.channels); }

INLINE int is_trained(struct share s, int filter, int i) {
    return filter < s.outputs && i % s.channels < trained_at(s, i / s.channels);
}

/* Where a trained weight lies, and where another one does. */
INLINE int place_in_trained(struct share s, int filter, int i) {
    return filter * trained_of_filter(s) + trained_before(s, i / s.channels) + i % s.channels;
}

INLINE int place_in_rest(struct share s, int filter, int i) {
    if (filter < s.outputs)
        return filter * (s.size - trained_of_filter(s)) + i - trained_before(s, i / s.channels + 1);
    return filter * s.size + i - s.outputs * trained_of_filter(s);
}

/* The place in its filter of trained weight i of it. */
INLINE int place_in_filter(struct share s, int i) {
    const int first = s.more * (s.inputs + 1);
    if (i < first)
        return i / (s.inputs + 1) * s.channels + i % (s.inputs + 1);
    return (s.more + (i - first) / s.inputs) * s.channels + (i - first) % s.inputs;
}

INLINE float weight_of_share(struct share s, const float *latent, const float *rest, int filter, int i) {
    return is_trained(s, filter, i) ? latent[place_in_trained(s, filter, i)] : rest[place_in_rest(s, filter, i)];
}

/* The level of a weight: of a float, or of a code. */
INLINE int level_of_share(struct share s, struct range r, const float *latent, float step, const uint8_t *codes,
                          int bits, int filter, int i) {
    if (is_trained(s, filter, i))
        return level_of(r, latent[place_in_trained(s, filter, i)], step);
    return level_of_code(r, code_at(codes, bits, place_in_rest(s, filter, i)));
}

INLINE void fill_filter8(int8_t *to, struct share s, struct range r, const float *latent, float step,
                         const uint8_t *codes, int bits, int filter) {
    for (int i = 0; i < s.size; i++)
        to[i] = (int8_t)level_of_share(s, r, latent, step, codes, bits, filter, i);
}

INLINE void fill_filter16(int16_t *to, struct share s, struct range r, const float *latent, float step,
                          const uint8_t *codes, int bits, int filter) {
    for (int i = 0; i < s.size; i++)
        to[i] = (int16_t)level_of_share(s, r, latent, step, codes, bits, filter, i);
}

/* The same where both parts are codes. */
INLINE int level_of_codes(struct share s, struct range r, const uint8_t *taken, const uint8_t *codes, int bits,
                          int filter, int i) {
    if (is_trained(s, filter, i))
        return level_of_code(r, code_at(taken, bits, place_in_trained(s, filter, i)));
    return level_of_code(r, code_at(codes, bits, place_in_rest(s, filter, i)));
}

INLINE void join_filter8(int8_t *to, struct share s, struct range r, const uint8_t *taken, const uint8_t *codes,
                         int bits, int filter) {
    for (int i = 0; i < s.size; i++)
        to[i] = (int8_t)level_of_codes(s, r, taken, codes, bits, filter, i);
}

INLINE void join_filter16(int16_t *to, struct share s, struct range r, const uint8_t *taken, const uint8_t *codes,
                          int bits, int filter) {
    for (int i = 0; i < s.size; i++)
        to[i] = (int16_t)level_of_codes(s, r, taken, codes, bits, filter, i);
}

/* The inputs of trained weights, `count` of the `size` that an image has, as they lie: floats or codes. */
INLINE void keep_floats(struct share s, int images, int size, int count, const float *from, float *to) {
    for (int b = 0; b < images; b++)
        for (int i = 0; i < count; i++)
            *to++ = from[b * size + place_in_filter(s, i)];
}

INLINE void keep_codes(struct share s, int images, int size, int count, const uint8_t *from, int bits, uint8_t *to) {
    struct code_writer w = write_codes(to, bits, 0);
    for (int b = 0; b < images; b++)
        for (int i = 0; i < count; i++)
            write_code(&w, bits, code_at(from, bits, b * size + place_in_filter(s, i)));
    end_codes(&w);
}

#endif
