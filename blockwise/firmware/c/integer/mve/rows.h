/* Products of listed errors with rows of numbers, with vectors: eight sums in two registers. */
#ifndef BLOCKWISE_MVE_ROWS_H
#define BLOCKWISE_MVE_ROWS_H

#include "../sparse.h"
#include "lanes.h"

/* As an adder: for rows that begin at whole bytes. */
KERNEL void mve_add_rows(
    int32_t *sums, uint32_t n, const listed *list, uint32_t count, struct integers numbers, uint32_t first,
    uint32_t stride)
{
    uint32_t step = bytes_of(numbers.coding, stride);
    const uint8_t *at = numbers.at + (int32_t)first / (int32_t)(8 / bytes_of(numbers.coding, 8));
    for (uint32_t c = 0; c < n; c += 8, at += bytes_of(numbers.coding, 8)) {
        struct eight t = no_sums();
        int32_t found[8];
        if (n - c >= 8)
            for (uint32_t r = 0; r < count; r++)
                t = add_eight_products(
                    t, eight_at(at + (list[r] >> 16) * step, numbers.coding, 8), (int16_t)list[r]);
        else
            for (uint32_t r = 0; r < count; r++)
                t = add_eight_products(
                    t, eight_at(at + (list[r] >> 16) * step, numbers.coding, n - c), (int16_t)list[r]);
        store_eight(found, t, numbers.coding);
        for (uint32_t k = 0; k < smaller(8, n - c); k++)
            sums[c + k] += found[k];
    }
}

/* One function for each coding, whatever the layer. */
#define MVE_ADDER(name, how)                                                                                        \
    static __attribute__((noinline, unused)) void name(                                                            \
        int32_t *sums, uint32_t n, const listed *list, uint32_t count, struct integers numbers, uint32_t first,     \
        uint32_t stride)                                                                                            \
    {                                                                                                               \
        mve_add_rows(sums, n, list, count, (struct integers){numbers.at, how}, first, stride);                      \
    }
MVE_ADDER(mve_add_bytes, INT8)
MVE_ADDER(mve_add_residues, RESIDUE)
MVE_ADDER(mve_add_nibbles, UINT4)
MVE_ADDER(mve_add_states, STATES)

/* The adder for rows of so many numbers; the plain one where they do not begin at whole bytes. */
KERNEL adder mve_adder(enum coding coding, uint32_t stride)
{
    if (!mve_reads(coding, stride))
        return plain_add_rows;
    return coding == INT8      ? mve_add_bytes
           : coding == RESIDUE ? mve_add_residues
           : coding == UINT4   ? mve_add_nibbles
                               : mve_add_states;
}

#endif
