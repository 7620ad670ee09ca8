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
    const uint32_t count = g.filters * g.kernel_height * g.kernel_width * seen_channels(g);
    if (to.shift) /* one loop for each, so that none asks for every weight */
        for (uint32_t i = 0; i < count; i++)
            move_weight(to, i, gradients[i]);
    else
        for (uint32_t i = 0; i < count; i++)
            move_weight((struct update){to.weights, to.coding, 0, NULL}, i, gradients[i]);
}

/* Jumps are drawn in the order (o, c, u, v), whatever the order in memory. */
INLINE void update_states(struct geometry g, struct update to, const int32_t *gradients)
{
    const uint32_t taps = g.kernel_height * g.kernel_width, seen = seen_channels(g);
    for (uint32_t o = 0; o < g.filters; o++)
        for (uint32_t c = 0; c < seen; c++)
            for (uint32_t tap = 0; tap < taps; tap++) {
                uint32_t i = (o * taps + tap) * seen + c;
                move_state(to, i, gradients[i]);
            }
}

static inline void add_sum(void *to, uint32_t i, int32_t sum)
{
    ((int32_t *)to)[i] += sum;
}

/* Gradients are added to those of the batches before. */
INLINE void add_weight_sums(struct geometry g, struct errors e, struct integers x, int32_t *sums)
{
    conv_weight_sums(g, e, x, add_sum, sums);
}

/* The largest of what was added up. */
INLINE uint32_t largest_of_added(const int32_t *sums, uint32_t count)
{
    uint32_t largest = 0;
    for (uint32_t i = 0; i < count; i++)
        if (magnitude(sums[i]) > largest) largest = magnitude(sums[i]);
    return largest;
}

INLINE void clear_words(int32_t *words, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        words[i] = 0;
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

#define JUMP_CHANNELS 4 /* whose gradients are made side by side, of all taps */
#define JUMP_TAPS 9     /* of a kernel of 3x3; larger ones are gone through tap by tap */

/* Gradients of a filter's weights of some channels, by tap. */
struct jumps {
    int32_t of[JUMP_TAPS][JUMP_CHANNELS];
};

/* Adds what the error at output (i, j) of an image gives to the taps that meet the map there. */
INLINE void add_error(
    struct geometry g, struct integers x, struct jumps *sums, int32_t error, uint32_t b, uint32_t i, uint32_t j,
    uint32_t c, uint32_t count)
{
    for (uint32_t u = 0; u < g.kernel_height; u++)
        for (uint32_t v = 0; v < g.kernel_width; v++) {
            uint32_t k = i * g.stride_y + u - g.padding_y, l = j * g.stride_x + v - g.padding_x;
            if (k >= g.height || l >= g.width) /* before the map: beyond it, modulo 2^32 */
                continue;
            uint32_t from = ((b * g.height + k) * g.width + l) * g.channels + c;
            int32_t *row = sums->of[u * g.kernel_width + v];
            for (uint32_t n = 0; n < count; n++)
                row[n] += error * integer_at(x, from + n);
        }
}

/* Of filter o and count channels from c on; most errors are 0 and add nothing. */
INLINE void make_jumps(
    struct geometry g, struct errors e, struct integers x, struct jumps *sums, uint32_t o, uint32_t c,
    uint32_t count)
{
    for (uint32_t tap = 0; tap < JUMP_TAPS; tap++) /* by itself: an initializer would be a call of memset */
        for (uint32_t n = 0; n < JUMP_CHANNELS; n++)
            sums->of[tap][n] = 0;
    for (uint32_t b = 0; b < g.images; b++)
        for (uint32_t i = 0; i < g.rows; i++)
            for (uint32_t j = 0; j < g.columns; j++) {
                int32_t error = error_at(g, e, b, i, j, o);
                if (error)
                    add_error(g, x, sums, error, b, i, j, c, count);
            }
}

/* The same in the order in which jumps are drawn, with kernels of few taps. */
INLINE void update_states_by_tiles(struct geometry g, struct errors e, struct integers x, struct update to)
{
    const uint32_t taps = g.kernel_height * g.kernel_width;
    for (uint32_t o = 0; o < g.filters; o++)
        for (uint32_t c = 0; c < g.channels; c += JUMP_CHANNELS) {
            const uint32_t count = smaller(JUMP_CHANNELS, g.channels - c);
            struct jumps sums;
            if (count == JUMP_CHANNELS)
                make_jumps(g, e, x, &sums, o, c, JUMP_CHANNELS);
            else
                make_jumps(g, e, x, &sums, o, c, count);
            for (uint32_t n = 0; n < count; n++)
                for (uint32_t tap = 0; tap < taps; tap++)
                    move_state(to, (o * taps + tap) * g.channels + c + n, sums.of[tap][n]);
        }
}

/* With any kernel. */
INLINE void update_states_by_sums(struct geometry g, struct errors e, struct integers x, struct update to)
{
    const uint32_t seen = seen_channels(g);
    if (g.kernel_height * g.kernel_width <= JUMP_TAPS && !is_general(g)) {
        update_states_by_tiles(g, e, x, to);
        return;
    }
    for (uint32_t o = 0; o < g.filters; o++)
        for (uint32_t c = 0; c < seen; c++)
            for (uint32_t u = 0; u < g.kernel_height; u++)
                for (uint32_t v = 0; v < g.kernel_width; v++) {
                    uint32_t i = ((o * g.kernel_height + u) * g.kernel_width + v) * seen + c;
                    int32_t sum = is_general(g) ? general_weight_sum(g, e, x, o, u, v, c)
                                                : plain_weight_sum(g, e, x, o, u, v, c);
                    move_state(to, i, sum);
                }
}

#endif
