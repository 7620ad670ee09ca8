/* Weights of 8 bits along random directions: docs/integer-arithmetic.md, "Zeroth order". A direction is drawn again
 * wherever it is needed, in the order (o, c, u, v), whatever the order in memory. */
#ifndef BLOCKWISE_ZEROTH_H
#define BLOCKWISE_ZEROTH_H

#include "../common/directions.h"
#include "rounding.h"
#include "shares.h"
#include "state.h"

/* -range .. range. */
INLINE int32_t element(uint32_t *state, int32_t range)
{
    return (int32_t)uniform(state, 2 * (uint32_t)range + 1) - range;
}

/* Where a weight lies that is trained. */
INLINE uint8_t *weight_at(struct filters w, struct walk at)
{
    return w.at + (at.filter * w.taps + at.tap) * w.channels + at.channel;
}

/* From W to W + by z: forth by 1 from within most, which leaves room for z; back by -2, and restored by 1. */
static inline void perturb(
    struct filters w, struct share s, int32_t range, uint32_t state, int32_t by, int32_t most)
{
    for (struct walk at = {0, 0, 0}; !is_behind(s, at); at = next_of(s, w.taps, at)) {
        uint8_t *weight = weight_at(w, at);
        *weight = (uint8_t)(clip((int8_t)*weight, -most, most) + by * element(&state, range));
    }
}

/* The step along one direction, by the difference of its losses. */
static inline void step_along(
    struct filters w, struct share s, int32_t range, uint32_t state, int32_t difference, int32_t shift)
{
    const int32_t towards = (difference > 0) - (difference < 0), most = 127 - range;
    if (!towards)
        return;
    for (struct walk at = {0, 0, 0}; !is_behind(s, at); at = next_of(s, w.taps, at)) {
        uint8_t *weight = weight_at(w, at);
        int32_t step = towards * element(&state, range);
        if (shift > 0)
            step = pseudo_stochastic(step, shift);
        *weight = (uint8_t)clip((int8_t)*weight - step, -most, most);
    }
}

#endif
