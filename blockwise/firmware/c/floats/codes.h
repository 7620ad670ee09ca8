/* Codes of 1 to 8 or 16 bits, packed low bits first, one behind the other; and one-bit masks. */
#ifndef BLOCKWISE_FLOATS_CODES_H
#define BLOCKWISE_FLOATS_CODES_H

#include "maps.h"

/* Code i of a tensor. No byte behind the code is read. */
INLINE uint32_t code_at(const uint8_t *codes, int bits, int i) {
    if (bits == 8)
        return codes[i];
    if (bits == 16)
        return codes[2 * i] | (uint32_t)codes[2 * i + 1] << 8;
    const uint32_t at = (uint32_t)i * (uint32_t)bits, shift = at & 7;
    uint32_t found = codes[at >> 3];
    if (8 % bits && shift + (uint32_t)bits > 8)
        found |= (uint32_t)codes[(at >> 3) + 1] << 8;
    return found >> shift & ((1u << bits) - 1);
}

/* Eight codes of at most 4 bits that begin with a byte. */
INLINE uint32_t eight_codes(const uint8_t *codes, int bits, int i) {
    const uint8_t *from = codes + i / 8 * bits;
    uint32_t found = from[0];
    for (int byte = 1; byte < bits; byte++)
        found |= (uint32_t)from[byte] << 8 * byte;
    return found;
}

/* Writes codes in order, in whole bytes. */
struct code_writer { uint8_t *next; uint32_t held; int count; };

/* Starts at code i: what stands before it in its byte stays. */
INLINE struct code_writer write_codes(uint8_t *codes, int bits, int i) {
    struct code_writer w = {codes + (uint32_t)i * (uint32_t)bits / 8, 0, (int)((uint32_t)i * (uint32_t)bits % 8)};
    if (w.count)
        w.held = *w.next & ((1u << w.count) - 1);
    return w;
}

INLINE void write_code(struct code_writer *w, int bits, uint32_t code) {
    w->held |= code << w->count;
    for (w->count += bits; w->count >= 8; w->count -= 8) {
        *w->next++ = (uint8_t)w->held;
        w->held >>= 8;
    }
}

INLINE void end_codes(struct code_writer *w) {
    if (w->count)
        *w->next = (uint8_t)w->held;
}

/* A tensor's codes behind others. */
INLINE void append_codes(uint8_t *to, int bits, int first, const uint8_t *codes, int count) {
    struct code_writer w = write_codes(to, bits, first);
    for (int i = 0; i < count; i++)
        write_code(&w, bits, code_at(codes, bits, i));
    end_codes(&w);
}

/* Every element of an operand that is a code, stored as one, from code `first` on. */
INLINE void store_codes(struct map m, int bits, float_at from, const float *held, uint8_t *to, int first) {
    struct code_writer w = write_codes(to, bits, first);
    for (int b = 0; b < m.batch; b++)
        for (int y = 0; y < m.height; y++)
            for (int x = 0; x < m.width; x++)
                for (int c = 0; c < m.channels; c++)
                    write_code(&w, bits, (uint32_t)from(held, b, y, x, c));
    end_codes(&w);
}

/* Puts code i where zeros are. */
INLINE void put_code(uint8_t *codes, int bits, int i, uint32_t code) {
    const uint32_t at = (uint32_t)i * (uint32_t)bits;
    uint32_t shifted = code << (at & 7);
    for (uint8_t *to = codes + (at >> 3); shifted; shifted >>= 8)
        *to++ |= (uint8_t)shifted;
}

INLINE uint32_t bytes_of(int count, int bits) { return ((uint32_t)count * (uint32_t)bits + 7) / 8; }

#endif
