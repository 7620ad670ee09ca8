/* Activations: floats, or the codes of a quantizer, and what goes back through them.
 *
 * A gradient may come from a max pool behind the activation: then it has one element for each window, and
 * stands where the window's largest value stood. `spot` says where place k of the window of element (i, j) lies
 * in the map, `place` at which of the `places` the element stands; without a pool there is one, (i, j) itself.
 * All places are read and masked: what is kept for the way back is read whole. */
#ifndef BLOCKWISE_FLOATS_ACTIVATIONS_H
#define BLOCKWISE_FLOATS_ACTIVATIONS_H

#include "forms.h"
#include "lsq.h"

typedef struct spot (*spot_at)(int i, int j, int k);
typedef int (*place_at)(int b, int i, int j, int c);

INLINE struct spot own_spot(int i, int j, int k) {
    const struct spot found = {i, j};
    (void)k;
    return found;
}

INLINE int only_place(int b, int i, int j, int c) {
    (void)b, (void)i, (void)j, (void)c;
    return 0;
}

/* x where `passes`, else 0. */
INLINE float masked(float x, int passes) { return from_bits(bits_of(x) & -(uint32_t)passes); }

/* x between limits; `high` below `low` is none. */
struct limits { float low, high; };

INLINE float limited(struct limits l, float x) {
    return x < l.low ? l.low : l.high > l.low && x > l.high ? l.high : x;
}

INLINE void activate_floats(struct map m, struct limits l, float_at from, channel_begins begins,
                                   const float *held, float *to) {
    for (int c = 0; c < m.channels; c++) {
        begins(held, c);
        for (int b = 0; b < m.batch; b++)
            for (int y = 0; y < m.height; y++)
                for (int x = 0; x < m.width; x++)
                    to[element(m, b, y, x, c)] = limited(l, from(held, b, y, x, c));
    }
}

/* Where a gradient passes, 1 bit an element, read off what was made: between the limits. */
INLINE int passes_within(struct limits l, float made) {
    return (made > l.low) & ((made < l.high) | (l.high < l.low));
}

/* One slope up to zero, whose derivative is that slope: `sign`, which may be missing, tells where. */
INLINE void activate_leaky(struct map m, float slope, float_at from, channel_begins begins, const float *held,
                           float *to, uint8_t *sign) {
    if (sign)
        clear_bytes(sign, bytes_of(elements(m), 1));
    for (int c = 0; c < m.channels; c++) {
        begins(held, c);
        for (int b = 0; b < m.batch; b++)
            for (int y = 0; y < m.height; y++)
                for (int x = 0; x < m.width; x++) {
                    const int i = element(m, b, y, x, c);
                    const float v = from(held, b, y, x, c);
                    to[i] = leaky(v, slope);
                    if (sign)
                        put_code(sign, 1, i, v <= 0.0f);
                }
    }
}

INLINE void mask_of_floats(struct map m, struct limits l, const float *made, uint8_t *mask) {
    struct code_writer w = write_codes(mask, 1, 0);
    for (int i = 0; i < elements(m); i++)
        write_code(&w, 1, (uint32_t)passes_within(l, made[i]));
    end_codes(&w);
}

/* Codes, in order; `mask`, which may be missing, tells where a gradient passes: the quantizer, and an activation
 * before it, whose derivative is `slope`, or 0 where there is none. */
INLINE void activate_codes(struct map m, int bits, struct range r, float_at from, float_at slope, const float *held,
                                  float step, uint8_t *to, int first, uint8_t *mask) {
    struct code_writer w = write_codes(to, bits, first), passing = {mask, 0, 0};
    for (int b = 0; b < m.batch; b++)
        for (int y = 0; y < m.height; y++)
            for (int x = 0; x < m.width; x++)
                for (int c = 0; c < m.channels; c++) {
                    const float v = from(held, b, y, x, c);
                    write_code(&w, bits, code_of(r, level_of(r, v, step)));
                    if (mask)
                        write_code(&passing, 1, inside(r, v, step) & (!slope || slope(held, b, y, x, c) != 0.0f));
                }
    end_codes(&w);
    if (mask)
        end_codes(&passing);
}

/* Codes, channel by channel, each behind its filter: into zeros. */
INLINE void activate_by_channel(struct map m, int bits, struct range r, float_at from, channel_begins begins,
                                       const float *held, float step, uint8_t *to) {
    clear_bytes(to, bytes_of(elements(m), bits));
    for (int c = 0; c < m.channels; c++) {
        begins(held, c);
        for (int b = 0; b < m.batch; b++)
            for (int y = 0; y < m.height; y++)
                for (int x = 0; x < m.width; x++)
                    put_code(to, bits, element(m, b, y, x, c),
                             code_of(r, level_of(r, from(held, b, y, x, c), step)));
    }
}

/* Mostly in place on the gradient: it passes where the saved output is between the limits. */
INLINE void activation_backward(struct map gradient, int places, spot_at spot, place_at place, struct limits l,
                                float_at output, float_at from, const float *held, int adds, float *to) {
    for (int b = 0; b < gradient.batch; b++)
        for (int i = 0; i < gradient.height; i++)
            for (int j = 0; j < gradient.width; j++)
                for (int c = 0; c < gradient.channels; c++) {
                    const int here = place(b, i, j, c);
                    int passes = 0;
                    for (int k = 0; k < places; k++) {
                        const struct spot at = spot(i, j, k);
                        passes |= passes_within(l, output(held, b, at.y, at.x, c)) & (k == here);
                    }
                    put_gradient(to + element(gradient, b, i, j, c), adds, masked(from(held, b, i, j, c), passes));
                }
}

/* The derivative at an element of the gradient: of the places that of where it stands. */
INLINE float slope_there(int places, spot_at spot, place_at place, float_at slope, const float *held, int b, int i,
                         int j, int c) {
    const int here = place(b, i, j, c);
    float found = 0.0f;
    for (int k = 0; k < places; k++) {
        const struct spot at = spot(i, j, k);
        found += masked(slope(held, b, at.y, at.x, c), k == here);
    }
    return found;
}

/* The same times the derivative. */
INLINE void slope_backward(struct map gradient, int places, spot_at spot, place_at place, float_at slope,
                           float_at from, const float *held, int adds, float *to) {
    for (int b = 0; b < gradient.batch; b++)
        for (int i = 0; i < gradient.height; i++)
            for (int j = 0; j < gradient.width; j++)
                for (int c = 0; c < gradient.channels; c++) {
                    const float factor = slope_there(places, spot, place, slope, held, b, i, j, c);
                    put_gradient(to + element(gradient, b, i, j, c), adds, from(held, b, i, j, c) * factor);
                }
}

/* The same of a quantizer, by its input; returns the sum of shares in the gradient of its step. `slope` is the
 * derivative of an activation before it, or 0 where that is none but the quantizer's. */
INLINE float quantizer_backward(struct map gradient, int places, spot_at spot, place_at place, struct range r,
                                float_at input, float_at slope, float_at from, const float *held, float step,
                                int adds, float *to) {
    float whole = 0.0f;
    for (int b = 0; b < gradient.batch; b++) {
        float sum = 0.0f;
        for (int i = 0; i < gradient.height; i++)
            for (int j = 0; j < gradient.width; j++)
                for (int c = 0; c < gradient.channels; c++) {
                    const int here = place(b, i, j, c);
                    const float g = from(held, b, i, j, c);
                    int passes = 0;
                    for (int k = 0; k < places; k++) {
                        const struct spot at = spot(i, j, k);
                        const float v = input(held, b, at.y, at.x, c);
                        sum += step_share(r, masked(g, k == here), v, step);
                        passes |= inside(r, v, step) & (k == here);
                    }
                    float found = masked(g, passes);
                    if (slope)
                        found *= slope_there(places, spot, place, slope, held, b, i, j, c);
                    if (to)
                        put_gradient(to + element(gradient, b, i, j, c), adds, found);
                }
        whole += sum;
    }
    return whole;
}

/* The same times each channel's constant scale. */
INLINE void scale_backward(struct map gradient, float_at from, const float *held, const float *scales, int adds,
                           float *to) {
    for (int b = 0; b < gradient.batch; b++)
        for (int i = 0; i < gradient.height; i++)
            for (int j = 0; j < gradient.width; j++)
                for (int c = 0; c < gradient.channels; c++)
                    put_gradient(to + element(gradient, b, i, j, c), adds, from(held, b, i, j, c) * scales[c]);
}

#endif
