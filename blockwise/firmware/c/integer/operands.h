/* What the kernels of sums read: integers as they lie in memory, channels last. See docs/integer-arithmetic.md. */
#ifndef BLOCKWISE_OPERANDS_H
#define BLOCKWISE_OPERANDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KERNEL static inline __attribute__((always_inline))

/* Maps are (images, height, width, channels), weights (filters, kernel_height, kernel_width, channels).
 * A linear layer has maps and a kernel of 1 x 1. */
struct geometry {
    uint32_t images, height, width, channels; /* of the input */
    uint32_t rows, columns, filters;          /* of the output */
    uint32_t kernel_height, kernel_width;
    uint32_t stride_y, stride_x, padding_y, padding_x;
    uint32_t dilation_y, dilation_x, groups; /* a filter sees the channels of its group */
};

enum coding {
    INT8,    /* a byte each */
    UINT4,   /* 0 .. 15, two in a byte, the first in its low half */
    RESIDUE, /* a byte each, of which the high half counts: byte >> 4 */
    STATES,  /* -7 .. 7 in two's complement, two in a byte, the first in its low half */
    INT32,   /* a word each (NITRO-D) */
};

struct integers {
    const uint8_t *at;
    enum coding coding;
};

/* Errors of the output: of all elements, or (positions is not NULL) of the windows of a max pool with, for each,
 * which of its elements, row by row, the error belongs to: position_bits bits, low bits first. All others are 0. */
struct errors {
    struct integers values; /* INT8, or INT32 in NITRO-D */
    const uint8_t *positions;
    uint32_t window_y, window_x, position_bits;
};

/* Position i of so many bits. */
KERNEL uint32_t position_at(struct errors e, uint32_t i)
{
    uint32_t at = i * e.position_bits, shift = at & 7, found = e.positions[at >> 3];
    if (8 % e.position_bits && shift + e.position_bits > 8)
        found |= (uint32_t)e.positions[(at >> 3) + 1] << 8;
    return found >> shift & ((1u << e.position_bits) - 1);
}

/* Where sums go: called once for every output. */
typedef void (*taker)(void *to, uint32_t index, int32_t sum);

KERNEL int32_t integer_at(struct integers a, uint32_t i)
{
    switch (a.coding) {
    case INT8:
        return ((const int8_t *)a.at)[i];
    case UINT4:
        return a.at[i / 2] >> i % 2 * 4 & 15;
    case RESIDUE:
        return ((const int8_t *)a.at)[i] >> 4;
    case STATES:
        return ((a.at[i / 2] >> i % 2 * 4 & 15) ^ 8) - 8;
    default:
        return ((const int32_t *)(const void *)a.at)[i];
    }
}

/* Bytes of n integers, a whole number of them. INT32 has none of the fast kernels. */
KERNEL uint32_t bytes_of(enum coding coding, uint32_t n)
{
    return coding == UINT4 || coding == STATES ? n / 2 : n;
}

/* sum + a b modulo 2^32: what NITRO-D's sums may do on the way, and no other's. */
KERNEL int32_t add_product(int32_t sum, int32_t a, int32_t b)
{
    return (int32_t)((uint32_t)sum + (uint32_t)a * (uint32_t)b);
}

/* Channels that a filter sees. */
KERNEL uint32_t seen_channels(struct geometry g)
{
    return g.groups > 1 ? g.channels / g.groups : g.channels;
}

KERNEL uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

KERNEL uint32_t above(uint32_t a, uint32_t b)
{
    return a > b ? a - b : 0; /* max(a - b, 0) */
}

/* Which taps of a kernel meet the map at an output, or outputs at a tap: from .. to - 1, none if to <= from. */
struct range {
    uint32_t from, to;
};

KERNEL struct range taps_inside(uint32_t output, uint32_t stride, uint32_t padding, uint32_t kernel, uint32_t size)
{
    uint32_t start = output * stride;
    return (struct range){above(padding, start), smaller(kernel, above(size + padding, start))};
}

KERNEL struct range outputs_inside(uint32_t tap, uint32_t stride, uint32_t padding, uint32_t outputs, uint32_t size)
{
    uint32_t first = (above(padding, tap) + stride - 1) / stride;
    return (struct range){first, smaller(outputs, (above(size + padding, tap) + stride - 1) / stride)};
}

/* Taps that an input meets: from, every step-th, below to. */
struct taps {
    uint32_t from, step, to;
};

/* Those of input k: output (k + padding - tap) / stride. */
KERNEL struct taps taps_of_input(uint32_t k, uint32_t stride, uint32_t padding, uint32_t kernel, uint32_t outputs)
{
    uint32_t last = k + padding, low = above(last, stride * (outputs - 1));
    return (struct taps){low + (last - low) % stride, stride, smaller(kernel, last + 1)};
}

/* Index of the input under tap (0, 0), which may lie before the map: all modulo 2^32. */
KERNEL uint32_t first_input(struct geometry g, uint32_t b, uint32_t i, uint32_t j)
{
    uint32_t k = b * g.height + i * g.stride_y - g.padding_y;
    return (k * g.width + j * g.stride_x - g.padding_x) * g.channels;
}

#endif
