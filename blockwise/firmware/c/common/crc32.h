/* CRC-32 as zlib has it (IEEE 802.3, reflected): the checksum of weights. */
#ifndef BLOCKWISE_CRC32_H
#define BLOCKWISE_CRC32_H

#include "base.h"

#define CRC32_START 0xFFFFFFFFu

/* One more byte. Bit by bit: a table would cost flash, and nobody waits for it. */
static uint32_t crc32_next(uint32_t crc, uint8_t byte)
{
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit)
        crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
    return crc;
}

INLINE uint32_t crc32_end(uint32_t crc)
{
    return ~crc;
}

#endif
