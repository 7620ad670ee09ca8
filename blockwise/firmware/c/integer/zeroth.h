/* Weights of 8 bits along random directions: docs/integer-arithmetic.md, "Zeroth order". A direction is drawn again
 * wherever it is needed, in the order (o, c, u, v), whatever the order in memory. */
#ifndef BLOCKWISE_ZEROTH_H
#define BLOCKWISE_ZEROTH_H

#include "../common/directions.h"
#include "rounding.h"
#include "state.h"

/* -range .. range. */
INLINE int32_t element(uint32_t *state, int32_t range)
{
    return (int32_t)uniform(state, 2 * (uint32_t)range + 1) - range;
}

/* From W to W + by z: forth by 1 from within most, which leaves room for z; back by -2, and restored by 1. */
static inline void perturb(struct filters w, int32_t range, uint32_t state, int32_t by, int32_t most)
{
    for (uint32_t o = 0; o < w.filters; o++)
        for (uint32_t c = 0; c < w.channels; c++)
            for (uint32_t tap = 0; tap < w.taps; tap++) {
                uint8_t *at = w.at + (o * w.taps + tap) * w.channels + c;
                *at = (uint8_t)(clip((int8_t)*at, -most, most) + by * element(&state, range));
            }
}

/* The step along one direction, by the difference of its losses. */
static inline void step_along(struct filters w, int32_t range, uint32_t state, int32_t difference, int32_t shift)
{
    const int32_t towards = (difference > 0) - (difference < 0), most = 127 - range;
    if (!towards)
        return;
    for (uint32_t o = 0; o < w.filters; o++)
        for (uint32_t c = 0; c < w.channels; c++)
            for (uint32_t tap = 0; tap < w.taps; tap++) {
                uint8_t *at = w.at + (o * w.taps + tap) * w.channels + c;
                int32_t step = towards * element(&state, range);
                if (shift > 0)
                    step = pseudo_stochastic(step, shift);
                *at = (uint8_t)clip((int8_t)*at - step, -most, most);
            }
}

#endif
