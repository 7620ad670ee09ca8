/* Pairs of numbers from words of integers as they lie in memory. */
#ifndef BLOCKWISE_DSP_CODES_H
#define BLOCKWISE_DSP_CODES_H

#include "lanes.h"

/* Weights with their residues taken off: 16 times what they mean, in the same byte. */
KERNEL uint32_t without_residue(uint32_t word, enum coding coding)
{
    return coding == RESIDUE ? word & 0xF0F0F0F0 : word;
}

/* By so many bits sums are too large when all products are added. */
KERNEL uint32_t excess(enum coding weights)
{
    return weights == RESIDUE ? 4 : weights == STATES ? 12 : 0;
}

/* Elements k and k + 4 of eight that take 4 bits each, 0 .. 15. */
KERNEL uint32_t nibbles(uint32_t word, uint32_t k)
{
    return word >> 4 * k & 0x000F000F;
}

/* The same of numbers with a sign: 4,096 times what they mean. */
KERNEL uint32_t signed_nibbles(uint32_t word, uint32_t k)
{
    return word << (12 - 4 * k) & 0xF000F000;
}

/* Four channels, each a pair: of two filters, or of two positions. */
struct channels {
    uint32_t of[4];
};

/* Four channels from `first` and from `second` on, side by side. Weights are scaled by 2^excess, but that of states
 * 8 is added to them where they are not few: their sums would not fit. */
KERNEL struct channels by_channel(const uint8_t *first, const uint8_t *second, enum coding coding, bool few)
{
    if (coding == STATES || coding == UINT4) {
        uint32_t both = low_halves(half_at(first), half_at(second));
        if (coding == STATES && few)
            return (struct channels){
                {signed_nibbles(both, 0), signed_nibbles(both, 1), signed_nibbles(both, 2), signed_nibbles(both, 3)}};
        both = coding == STATES ? both ^ 0x88888888 : both;
        return (struct channels){{nibbles(both, 0), nibbles(both, 1), nibbles(both, 2), nibbles(both, 3)}};
    }
    uint32_t a = word_at(first), b = word_at(second);
    uint32_t low = without_residue(low_halves(a, b), coding), high = without_residue(high_halves(a, b), coding);
    return (struct channels){{even_bytes(low), odd_bytes(low), even_bytes(high), odd_bytes(high)}};
}

#endif
