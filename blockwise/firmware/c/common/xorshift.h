/* Random numbers by xorshift32: docs/integer-arithmetic.md, "Random numbers". */
#ifndef BLOCKWISE_XORSHIFT_H
#define BLOCKWISE_XORSHIFT_H

#include "base.h"

/* The next state, which is also the next output. */
INLINE uint32_t xorshift(uint32_t *state)
{
    uint32_t s = *state;
    s ^= s << 13;
    s ^= s >> 17;
    s ^= s << 5;
    return *state = s;
}

/* The first state of a stream of a seed. */
INLINE uint32_t first_state(uint32_t seed, uint32_t stream)
{
    uint32_t h = seed + stream * 0x9E3779B9u;
    h ^= h >> 16;
    h *= 0x85EBCA6Bu;
    h ^= h >> 13;
    h *= 0xC2B2AE35u;
    h ^= h >> 16;
    return h ? h : 0x9E3779B9u;
}

/* 0 .. levels - 1, levels <= 2^15. */
INLINE uint32_t uniform(uint32_t *state, uint32_t levels)
{
    return (xorshift(state) >> 16) * levels >> 16;
}

#endif
