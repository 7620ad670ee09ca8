/* Parameters along random directions of -1 and 1, which are drawn again wherever they are needed, in the order
 * (o, c, u, v), whatever the order in memory: simultaneous perturbation (Spall 1992), in place (Malladi et al. 2023,
 * arXiv 2305.17333). What is trained of weights is told as a share, all of them or of another parameter as well. */
#ifndef BLOCKWISE_FLOATS_DIRECTIONS_H
#define BLOCKWISE_FLOATS_DIRECTIONS_H

#include "../common/directions.h"
#include "shares.h"
#include "updates.h"

INLINE float sign_from(uint32_t *state) { return xorshift(state) >> 31 ? -1.0f : 1.0f; }

/* Where the next trained weight lies, in the order of a direction: position by position, channel by channel. */
struct walk { int filter, channel, position; };

INLINE int positions_of(struct share s) { return s.size / s.channels; }

INLINE int is_behind(struct share s, struct walk at) { return at.filter == s.outputs; }

INLINE struct walk next_of(struct share s, struct walk at) {
    do {
        if (++at.position == positions_of(s)) {
            at.position = 0;
            if (++at.channel == s.inputs + (s.more > 0)) {
                at.channel = 0;
                at.filter++;
            }
        }
    } while (!is_behind(s, at) && at.channel >= trained_at(s, at.position));
    return at;
}

INLINE int place_of(struct share s, struct walk at) {
    return at.filter * trained_of_filter(s) + trained_before(s, at.position) + at.channel;
}

/* From w to w + by z. */
INLINE void move_along(struct share s, float *w, uint32_t state, float by) {
    for (struct walk at = {0, 0, 0}; !is_behind(s, at); at = next_of(s, at))
        w[place_of(s, at)] += by * sign_from(&state);
}

/* The step along `count` directions, whose generators are in `states`: by each the difference of its losses over
 * `divisor`. */
INLINE void step_along(struct share s, float *w, int count, uint32_t *states, const float *differences, float divisor,
                       struct pace p) {
    for (struct walk at = {0, 0, 0}; !is_behind(s, at); at = next_of(s, at)) {
        float g = 0.0f, *to = w + place_of(s, at);
        for (int k = 0; k < count; k++)
            g += differences[k] / divisor * sign_from(states + k);
        *to = *to - p.rate * (g + p.decay * *to);
    }
}

#endif
