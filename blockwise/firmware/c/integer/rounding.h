/* Rounding shifts: docs/integer-arithmetic.md, "Rounding shifts". 1 <= shift <= 32, |x| < 2^31. */
#ifndef BLOCKWISE_ROUNDING_H
#define BLOCKWISE_ROUNDING_H

#include "../common/base.h"

/* floor(log2 m) + 1, and 0 for 0. */
INLINE int32_t bit_length(uint32_t m)
{
    return m ? 32 - __builtin_clz(m) : 0;
}

INLINE uint32_t magnitude(int32_t x)
{
    return x < 0 ? 0u - (uint32_t)x : (uint32_t)x;
}

INLINE uint32_t low_bits(int32_t count)
{
    return count >= 32 ? 0xFFFFFFFFu : (1u << count) - 1;
}

INLINE int32_t signed_like(int32_t x, uint32_t m)
{
    return x < 0 ? -(int32_t)m : (int32_t)m;
}

/* Ties away from zero. */
INLINE int32_t nearest(int32_t x, int32_t shift)
{
    if (shift > 31) return 0;
    int32_t y = x + (x >> 31);
    return (y >> shift) + (y >> (shift - 1) & 1);
}

/* NITI's: the upper half of the dropped bits is the probability p, the lower half the random number r. It is made of
 * every gradient, so without a branch: both are below 2^17, r - p is negative where p > r, and -1 is the sign of
 * negative numbers alone. */
INLINE int32_t pseudo_stochastic(int32_t x, int32_t shift)
{
    uint32_t sign = (uint32_t)(x >> 31), m = ((uint32_t)x ^ sign) - sign, f = m & low_bits(shift);
    int32_t half = shift >> 1;
    uint32_t p = f >> half, r = (f & low_bits(half)) << (shift & 1);
    uint32_t rounded = (m >> (shift - 1) >> 1) + ((r - p) >> 31);
    return (int32_t)((rounded ^ sign) - sign);
}

/* Up with probability f / 2^shift; random is the next output of a generator. */
INLINE int32_t stochastic(int32_t x, int32_t shift, uint32_t random)
{
    uint32_t m = magnitude(x), f = m & low_bits(shift), r = random >> (32 - shift);
    return signed_like(x, (shift > 31 ? 0 : m >> shift) + (r < f));
}

#endif
