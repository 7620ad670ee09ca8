/* Vectors of 16 bytes (MVE, Cortex-M55): integers as they lie in memory, as bytes or as words with their signs. */
#ifndef BLOCKWISE_MVE_LANES_H
#define BLOCKWISE_MVE_LANES_H

#include <arm_mve.h>

#include "../plain.h"

/* So many bits are too much in bytes of weights: those of states stand in the upper half. */
KERNEL uint32_t mve_excess(enum coding weights)
{
    return weights == STATES ? 4 : 0;
}

KERNEL bool in_halves(enum coding coding)
{
    return coding == UINT4 || coding == STATES;
}

/* Two numbers of 4 bits in each lane of 16, as two bytes: as they are, or 16 times what they mean. */
KERNEL int8x16_t bytes_of_halves(uint16x8_t two, enum coding coding)
{
    if (coding == UINT4)
        return vreinterpretq_s8(vandq(vsliq(two, two, 4), vdupq_n_u16(0x0F0F)));
    return vreinterpretq_s8(vandq(vsliq(vshlq_n_u16(two, 4), two, 8), vdupq_n_u16(0xF0F0)));
}

/* 16 numbers from a whole byte on. */
KERNEL int8x16_t sixteen_at(const uint8_t *at, enum coding coding)
{
    if (in_halves(coding))
        return bytes_of_halves(vldrbq_u16(at), coding);
    int8x16_t bytes = vldrbq_s8((const int8_t *)at);
    return coding == RESIDUE ? vshrq_n_s8(bytes, 4) : bytes;
}

/* The first count of them, 0 for the others, of which nothing is read. */
KERNEL int8x16_t some_at(const uint8_t *at, enum coding coding, uint32_t count)
{
    if (in_halves(coding))
        return bytes_of_halves(vldrbq_z_u16(at, vctp16q(count / 2)), coding);
    int8x16_t bytes = vldrbq_z_s8((const int8_t *)at, vctp8q(count));
    return coding == RESIDUE ? vshrq_n_s8(bytes, 4) : bytes;
}

/* Eight numbers as words: in their order, or (of 4 bits) those at even places and those at odd ones. */
struct eight {
    int32x4_t a, b;
};

KERNEL struct eight halves_as_words(int32x4_t two, enum coding coding)
{
    if (coding == UINT4) {
        int32x4_t low = vandq(two, vdupq_n_s32(15));
        return (struct eight){low, vandq(vshrq_n_s32(two, 4), vdupq_n_s32(15))};
    }
    return (struct eight){vshrq_n_s32(vshlq_n_s32(two, 28), 28), vshrq_n_s32(two, 4)};
}

KERNEL struct eight bytes_as_words(int32x4_t a, int32x4_t b, enum coding coding)
{
    if (coding == RESIDUE)
        return (struct eight){vshrq_n_s32(a, 4), vshrq_n_s32(b, 4)};
    return (struct eight){a, b};
}

/* count <= 8 numbers from a whole byte on; behind them 0. */
KERNEL struct eight eight_at(const uint8_t *at, enum coding coding, uint32_t count)
{
    const int8_t *bytes = (const int8_t *)at;
    if (count == 8) {
        if (in_halves(coding))
            return halves_as_words(vldrbq_s32(bytes), coding);
        return bytes_as_words(vldrbq_s32(bytes), vldrbq_s32(bytes + 4), coding);
    }
    if (in_halves(coding))
        return halves_as_words(vldrbq_z_s32(bytes, vctp32q(count / 2)), coding);
    mve_pred16_t more = vctp32q(count > 4 ? count - 4 : 0);
    return bytes_as_words(vldrbq_z_s32(bytes, vctp32q(count)), vldrbq_z_s32(bytes + 4, more), coding);
}

KERNEL struct eight add_eight_products(struct eight sums, struct eight row, int32_t by)
{
    return (struct eight){vmlaq(sums.a, row.a, by), vmlaq(sums.b, row.b, by)};
}

/* Sums in the order of what they were made of. */
KERNEL void store_eight(int32_t *to, struct eight sums, enum coding coding)
{
    if (in_halves(coding)) {
        int32x4x2_t both = {{sums.a, sums.b}};
        vst2q_s32(to, both);
        return;
    }
    vst1q_s32(to, sums.a);
    vst1q_s32(to + 4, sums.b);
}

KERNEL struct eight no_sums(void)
{
    return (struct eight){vdupq_n_s32(0), vdupq_n_s32(0)};
}

/* Whether numbers begin at whole bytes where channels do. */
KERNEL bool mve_reads(enum coding coding, uint32_t channels)
{
    return coding != INT32 && (!in_halves(coding) || channels % 2 == 0);
}

#endif
