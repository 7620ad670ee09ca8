/* NITRO-D: sums that are scaled as they are made, and its optimizer: docs/integer-arithmetic.md, "NITRO-D". */
#ifndef BLOCKWISE_NITRO_H
#define BLOCKWISE_NITRO_H

#include "../common/packing.h"
#include "rounding.h"
#include "kernels.h"
#include "shares.h"

struct scaled {
    uint8_t *codes;
    uint8_t *ranges; /* of what the activation reads: 0 below zero, 1 within, 2 at the limit; 2 bits each */
    int relu;
    int32_t factor;
};

static inline void scale_sum(void *context, uint32_t i, int32_t sum)
{
    const struct scaled *to = context;
    int32_t x = clip(sum / to->factor, -127, 127);
    if (to->ranges) put_bits(to->ranges, 2, i, (uint32_t)(x >= 0) + (x == 127));
    if (to->relu) x = (x >= 0 ? x : -(-x >> 2)) - 36;
    to->codes[i] = (uint8_t)x;
}

INLINE void scaled_sums(struct geometry g, struct integers x, struct integers w, struct scaled to)
{
    if (to.ranges) clear_bytes(to.ranges, packed_bytes(g.images * g.rows * g.columns * g.filters, 2));
    conv_sums(g, x, w, scale_sum, &to);
}

static inline void store_sum(void *context, uint32_t i, int32_t sum)
{
    ((int32_t *)context)[i] = sum;
}

/* Errors between layers have 32 bits. */
INLINE void stored_input_sums(struct geometry g, struct errors e, struct integers w, uint8_t *to)
{
    conv_input_sums(g, e, w, store_sum, to);
}

/* W - G / (r a) - W / h, where r = 512 at mu = 5 and twice as much for each bit less. */
struct integer_sgd {
    int32_t *weights;
    uint32_t amplification, inverse_decay;
    int32_t mu;
};

/* Truncated towards zero. Halving what is divided already comes to the same as twice the divisor. */
INLINE int32_t slow_quotient(int32_t gradient, uint32_t amplification, int32_t mu)
{
    uint32_t rate = mu > 5 ? 512u >> (mu - 5) : 512u;
    uint32_t m = magnitude(gradient) / (rate * amplification) >> (mu < 5 ? 5 - mu : 0);
    return signed_like(gradient, m);
}

static inline void descend(void *context, uint32_t i, int32_t gradient)
{
    const struct integer_sgd *to = context;
    int32_t w = to->weights[i];
    uint32_t step = (uint32_t)slow_quotient(gradient, to->amplification, to->mu);
    to->weights[i] = (int32_t)((uint32_t)w - step - (uint32_t)(w / (int32_t)to->inverse_decay));
}

INLINE void descend_by_sums(struct geometry g, struct errors e, struct integers x, struct integer_sgd to)
{
    conv_weight_sums(g, e, x, descend, &to);
}

INLINE void descend_share_by_sums(
    struct geometry g, struct share s, struct errors e, struct integers x, struct integer_sgd to)
{
    share_weight_sums(g, s, e, x, true, descend, &to);
}

#endif
