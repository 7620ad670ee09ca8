/* Products of listed errors with rows of numbers, with the DSP extension: eight sums in registers. */
#ifndef BLOCKWISE_DSP_ROWS_H
#define BLOCKWISE_DSP_ROWS_H

#include "../sparse.h"
#include "codes.h"

/* Four bytes by one error; those with a residue give 16 times the products. */
KERNEL void add_four(int32_t sums[4], uint32_t word, uint32_t error)
{
    uint32_t even = even_bytes(word), odd = odd_bytes(word);
    sums[0] = add_low(sums[0], even, error);
    sums[1] = add_low(sums[1], odd, error);
    sums[2] = add_high(sums[2], even, error);
    sums[3] = add_high(sums[3], odd, error);
}

/* Eight numbers of 4 bits, 0 .. 15, by one error. */
KERNEL void add_eight(int32_t sums[8], uint32_t word, uint32_t error)
{
#pragma GCC unroll 4
    for (uint32_t k = 0; k < 4; k++) {
        sums[k] = add_low(sums[k], nibbles(word, k), error);
        sums[k + 4] = add_high(sums[k + 4], nibbles(word, k), error);
    }
}

/* n <= 8 sums of a row that begins at a whole byte. */
KERNEL void add_group(
    int32_t *sums, uint32_t n, const listed *list, uint32_t count, const uint8_t *at, enum coding coding,
    uint32_t stride, int32_t errors)
{
    int32_t found[8];
    bool packed = coding == UINT4 || coding == STATES;
#pragma GCC unroll 8
    for (uint32_t c = 0; c < 8; c++)
        found[c] = 0;
    for (const listed *end = list + count; list != end; list++) {
        const uint8_t *row = at + (*list >> 16) * stride;
        if (packed)
            add_eight(found, n == 8 ? word_at(row) ^ (coding == STATES ? 0x88888888 : 0) : 0, *list);
        else {
            add_four(found, without_residue(word_at(row), coding), *list);
            if (n == 8)
                add_four(found + 4, without_residue(word_at(row + 4), coding), *list);
        }
    }
#pragma GCC unroll 8
    for (uint32_t c = 0; c < n; c++)
        sums[c] += packed ? found[c] - errors : found[c] >> excess(coding);
}

/* As an adder: for rows that begin at whole bytes. */
KERNEL void dsp_add_rows(
    int32_t *sums, uint32_t n, const listed *list, uint32_t count, struct integers numbers, uint32_t first,
    uint32_t stride)
{
    uint32_t c = 0, step = bytes_of(numbers.coding, stride);
    const uint8_t *at = numbers.at + (int32_t)first / (int32_t)(8 / bytes_of(numbers.coding, 8));
    int32_t errors = 0; /* 8 times their sum: what states have too much */
    for (uint32_t r = 0; numbers.coding == STATES && r < count; r++)
        errors += 8 * (int16_t)list[r];
    for (; c + 8 <= n; c += 8)
        add_group(sums + c, 8, list, count, at + bytes_of(numbers.coding, c), numbers.coding, step, errors);
    if (bytes_of(numbers.coding, 8) == 8 && c + 4 <= n) {
        add_group(sums + c, 4, list, count, at + c, numbers.coding, step, errors);
        c += 4;
    }
    if (c < n)
        plain_add_rows(sums + c, n - c, list, count, numbers, first + c, stride);
}

/* One function for each coding, whatever the layer. */
#define DSP_ADDER(name, how)                                                                                        \
    static __attribute__((noinline, unused)) void name(                                                            \
        int32_t *sums, uint32_t n, const listed *list, uint32_t count, struct integers numbers, uint32_t first,     \
        uint32_t stride)                                                                                            \
    {                                                                                                               \
        dsp_add_rows(sums, n, list, count, (struct integers){numbers.at, how}, first, stride);                      \
    }
DSP_ADDER(dsp_add_bytes, INT8)
DSP_ADDER(dsp_add_residues, RESIDUE)
DSP_ADDER(dsp_add_nibbles, UINT4)
DSP_ADDER(dsp_add_states, STATES)

/* The adder for rows of so many numbers; the plain one where they do not begin at whole bytes. */
KERNEL adder dsp_adder(enum coding coding, uint32_t stride)
{
    if (coding == INT8)
        return dsp_add_bytes;
    if (coding == RESIDUE)
        return dsp_add_residues;
    if (coding == INT32 || stride % 2)
        return plain_add_rows;
    return coding == UINT4 ? dsp_add_nibbles : dsp_add_states;
}

#endif
