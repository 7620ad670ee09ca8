/* Steps of weights by their gradients: docs/integer-arithmetic.md, "Updates". */
#ifndef BLOCKWISE_UPDATE_H
#define BLOCKWISE_UPDATE_H

#include "../common/packing.h"
#include "../common/xorshift.h"
#include "rounding.h"
#include "kernels.h"

struct update {
    uint8_t *weights;
    enum coding coding;
    int32_t shift;       /* of the gradients; 0: none, and nothing is drawn */
    uint32_t *generator; /* of states: their jumps are drawn */
};

/* How far gradients are shifted so that the largest keeps mu bits. */
INLINE int32_t step_shift(uint32_t largest, int32_t mu)
{
    int32_t length = bit_length(largest);
    return length && length > mu ? length - mu : 0;
}

/* NITI's step, of weights of 8 bits or of states with their residues. */
INLINE void move_weight(struct update to, uint32_t i, int32_t gradient)
{
    int32_t step = to.shift ? pseudo_stochastic(gradient, to.shift) : gradient;
    int32_t low = to.coding == RESIDUE ? -112 : -127;
    to.weights[i] = (uint8_t)clip((int8_t)to.weights[i] - step, low, 127);
}

/* A jump of a state. */
INLINE void move_state(struct update to, uint32_t i, int32_t gradient)
{
    int32_t step = to.shift ? stochastic(gradient, to.shift, xorshift(to.generator)) : gradient;
    int32_t state = integer_at((struct integers){to.weights, STATES}, i);
    put_bits(to.weights, 4, i, (uint32_t)clip(state - step, -7, 7) & 15);
}

/* By gradients that waited. */
INLINE void update_weights(struct geometry g, struct update to, const int32_t *gradients)
{
    for (uint32_t i = 0; i < g.filters * g.kernel_height * g.kernel_width * g.channels; i++)
        move_weight(to, i, gradients[i]);
}

/* Jumps are drawn in the order (o, c, u, v), whatever the order in memory. */
INLINE void update_states(struct geometry g, struct update to, const int32_t *gradients)
{
    const uint32_t taps = g.kernel_height * g.kernel_width;
    for (uint32_t o = 0; o < g.filters; o++)
        for (uint32_t c = 0; c < g.channels; c++)
            for (uint32_t tap = 0; tap < taps; tap++) {
                uint32_t i = (o * taps + tap) * g.channels + c;
                move_state(to, i, gradients[i]);
            }
}

static inline void move_by_sum(void *to, uint32_t i, int32_t sum)
{
    move_weight(*(const struct update *)to, i, sum);
}

/* By gradients that are made again, each as it is complete. */
INLINE void update_weights_by_sums(struct geometry g, struct errors e, struct integers x, struct update to)
{
    conv_weight_sums(g, e, x, move_by_sum, &to);
}

/* The same in the order in which jumps are drawn. */
INLINE void update_states_by_sums(struct geometry g, struct errors e, struct integers x, struct update to)
{
    for (uint32_t o = 0; o < g.filters; o++)
        for (uint32_t c = 0; c < g.channels; c++)
            for (uint32_t u = 0; u < g.kernel_height; u++)
                for (uint32_t v = 0; v < g.kernel_width; v++) {
                    uint32_t i = ((o * g.kernel_height + u) * g.kernel_width + v) * g.channels + c;
                    move_state(to, i, plain_weight_sum(g, e, x, o, u, v, c));
                }
}

#endif
