/* Codes of up to 8 bits, low bits first, one behind the other; but for put_next of 1, 2, 4 or 8. */
#ifndef BLOCKWISE_PACKING_H
#define BLOCKWISE_PACKING_H

#include "base.h"

/* Code i of so many bits, as an unsigned number. */
INLINE uint32_t bits_at(const uint8_t *bytes, uint32_t bits, uint32_t i)
{
    if (bits == 8) return bytes[i];
    uint32_t at = i * bits;
    return (uint32_t)(bytes[at >> 3] >> (at & 7)) & ((1u << bits) - 1);
}

/* The next code, in order: the first of a byte is written as a whole byte, so that nothing is read that was
 * never written, and nothing behind it is touched. */
INLINE void put_next(uint8_t *bytes, uint32_t bits, uint32_t i, uint32_t code)
{
    uint32_t at = i * bits, shift = at & 7;
    uint32_t before = shift ? bytes[at >> 3] : 0;
    bytes[at >> 3] = (uint8_t)(before | code << shift);
    if (8 % bits && shift + bits > 8)
        bytes[(at >> 3) + 1] = (uint8_t)(code >> (8 - shift));
}

/* A code anywhere, over what stands there. */
INLINE void put_bits(uint8_t *bytes, uint32_t bits, uint32_t i, uint32_t code)
{
    if (bits == 8) {
        bytes[i] = (uint8_t)code;
        return;
    }
    uint32_t at = i * bits, shift = at & 7, mask = ((1u << bits) - 1) << shift;
    bytes[at >> 3] = (uint8_t)((bytes[at >> 3] & ~mask) | (code << shift & mask));
}

/* Bytes of so many codes. */
INLINE uint32_t packed_bytes(uint32_t count, uint32_t bits)
{
    return (count * bits + 7) >> 3;
}

#endif
