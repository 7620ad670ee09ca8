/* First weights and checksums in the order (o, c, u, v), whatever the order in memory: docs/integer-arithmetic.md,
 * "First values" and "The order of a training". Also how a batch is centred. */
#ifndef BLOCKWISE_STATE_H
#define BLOCKWISE_STATE_H

#include "../common/crc32.h"
#include "../common/packing.h"
#include "../common/xorshift.h"
#include "operands.h"

/* Filters (filters, taps, channels) in memory. */
struct filters {
    uint8_t *at;
    enum coding coding;
    uint32_t filters, channels, taps;
};

INLINE void put_weight(struct filters w, uint32_t i, int32_t value)
{
    if (w.coding == INT32)
        ((int32_t *)(void *)w.at)[i] = value;
    else if (w.coding == STATES)
        put_bits(w.at, 4, i, (uint32_t)value & 15);
    else
        w.at[i] = (uint8_t)value;
}

/* low .. low + levels - 1, one random number each; returns the generator's state. */
static inline uint32_t first_weights(struct filters w, int32_t low, uint32_t levels, uint32_t state)
{
    for (uint32_t o = 0; o < w.filters; o++)
        for (uint32_t c = 0; c < w.channels; c++)
            for (uint32_t tap = 0; tap < w.taps; tap++)
                put_weight(w, (o * w.taps + tap) * w.channels + c, low + (int32_t)uniform(&state, levels));
    return state;
}

/* One byte each, also of packed states and of those with a residue; of weights of 32 bits four, low ones first. */
static inline uint32_t weights_crc(struct filters w, uint32_t crc)
{
    const enum coding stored = w.coding == RESIDUE ? INT8 : w.coding;
    for (uint32_t o = 0; o < w.filters; o++)
        for (uint32_t c = 0; c < w.channels; c++)
            for (uint32_t tap = 0; tap < w.taps; tap++) {
                uint32_t i = (o * w.taps + tap) * w.channels + c;
                uint32_t value = (uint32_t)integer_at((struct integers){w.at, stored}, i);
                for (int n = 0; n < (stored == INT32 ? 4 : 1); n++)
                    crc = crc32_next(crc, (uint8_t)(value >> 8 * n));
            }
    return crc;
}

/* Pixels as mantissas, where they lie. */
INLINE void centre(uint8_t *images, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        images[i] = (uint8_t)clip((int32_t)images[i] - 128, -127, 127);
}

#endif
