/* From sums to codes, by their largest: docs/integer-arithmetic.md, "Requantization". */
#ifndef BLOCKWISE_REQUANTIZE_H
#define BLOCKWISE_REQUANTIZE_H

#include "../common/packing.h"
#include "largest.h"

/* Codes of 8 bits, or of 4 behind a ReLU; its mask is a bit for each sum, where it is positive. */
struct requantized {
    uint8_t *codes;
    uint32_t bits;
    uint8_t *mask; /* none where no error comes back */
    int relu;
    int32_t shift;
};

/* How far the sums are shifted, until the largest has as many bits as a code's magnitude; 0 if it has. */
INLINE int32_t shift_for(uint32_t largest, int32_t magnitude_bits)
{
    int32_t shift = bit_length(largest) - magnitude_bits;
    return shift > 0 ? shift : 0;
}

INLINE int32_t code_of(struct requantized to, int32_t sum)
{
    int32_t high = to.bits == 8 ? 127 : (1 << to.bits) - 1;
    if (to.relu && sum < 0) sum = 0;
    return to.shift ? clip(nearest(sum, to.shift), to.relu ? 0 : -high, high) : sum;
}

/* As code_of behind a ReLU: without a sign, half of the last place is added before the shift. */
INLINE uint32_t positive_code(struct requantized to, int32_t sum)
{
    uint32_t positive = (uint32_t)(sum & ~(sum >> 31)), half = to.shift ? 1u << (to.shift - 1) : 0;
    uint32_t high = to.bits == 8 ? 127 : (1u << to.bits) - 1, code = (positive + half) >> to.shift;
    return code < high ? code : high;
}

/* Eight neighbours from i on, a multiple of eight: whole bytes of whatever is written, none of which is read. */
INLINE void requantize_eight(const int32_t *sums, uint32_t i, struct requantized to)
{
    uint8_t *codes = to.codes + i * to.bits / 8;
    uint32_t mask = 0, byte = 0;
    for (uint32_t k = 0; k < 8; ++k) {
        int32_t sum = sums[k];
        uint32_t code = to.relu ? positive_code(to, sum) : (uint32_t)code_of(to, sum);
        mask |= (uint32_t)-sum >> 31 << k; /* whether it is positive */
        byte |= code << k * to.bits % 8;
        if ((k + 1) * to.bits % 8 == 0) {
            *codes++ = (uint8_t)byte;
            byte = 0;
        }
    }
    if (to.mask) to.mask[i / 8] = (uint8_t)mask;
}

/* Sums that waited, in order: code i overwrites no sum behind i. */
INLINE void requantize(struct sums from, uint32_t count, struct requantized to)
{
    for (uint32_t i = 0; i < count; ++i) {
        bool behind = i >= from.in_front;
        if (i % 8 == 0 && i + 8 <= (behind ? count : smaller(count, from.in_front))) {
            requantize_eight(behind ? from.rest + (i - from.in_front) : from.front + i, i, to);
            i += 7;
            continue;
        }
        int32_t sum = sum_at(from, i);
        put_next(to.codes, to.bits, i, (uint32_t)code_of(to, sum));
        if (to.mask) put_next(to.mask, 1, i, sum > 0);
    }
}

/* Sums that are made again, each as it is complete. */
static inline void requantize_sum(void *context, uint32_t i, int32_t sum)
{
    const struct requantized *to = context;
    put_bits(to->codes, to->bits, i, (uint32_t)code_of(*to, sum));
    if (to->mask) put_bits(to->mask, 1, i, sum > 0);
}

/* What is put together bit by bit must start from nothing. */
INLINE void clear_codes(struct requantized to, uint32_t count)
{
    if (to.bits < 8) clear_bytes(to.codes, packed_bytes(count, to.bits));
    if (to.mask) clear_bytes(to.mask, packed_bytes(count, 1));
}

INLINE void requantized_sums(struct geometry g, struct integers x, struct integers w, struct requantized to)
{
    clear_codes(to, g.images * g.rows * g.columns * g.filters);
    conv_sums(g, x, w, requantize_sum, &to);
}

INLINE void requantized_input_sums(struct geometry g, struct errors e, struct integers w, struct requantized to)
{
    conv_input_sums(g, e, w, requantize_sum, &to);
}

#endif
