/* Softmax cross entropy by powers of two: docs/integer-arithmetic.md, "Loss". */
#ifndef BLOCKWISE_LOSS_H
#define BLOCKWISE_LOSS_H

#include "operands.h"
#include "rounding.h"

INLINE uint32_t label_at(const uint8_t *labels, uint32_t bytes, uint32_t b)
{
    uint32_t label = 0;
    for (uint32_t n = 0; n < bytes; ++n) label |= (uint32_t)labels[b * bytes + n] << 8 * n;
    return label;
}

INLINE int32_t largest_logit(const int8_t *o, uint32_t classes)
{
    int32_t largest = o[0];
    for (uint32_t i = 1; i < classes; ++i)
        if (o[i] > largest) largest = o[i];
    return largest;
}

/* The predicted class: the first of the largest logits. */
INLINE uint32_t predicted(const int8_t *o, uint32_t classes)
{
    uint32_t found = 0;
    for (uint32_t i = 1; i < classes; ++i)
        if (o[i] > o[found]) found = i;
    return found;
}

/* Step 1: how far below the largest a logit is, in 2^-12 binary orders, at its exponent. */
INLINE uint32_t distance(int32_t below, int32_t exponent)
{
    uint32_t d = (uint32_t)below * 47274u;
    int32_t shift = exponent - 3;
    d = shift < 0 ? d >> (-shift > 31 ? 31 : -shift) : d << (shift > 3 ? 3 : shift);
    return smaller(d, (1u << 18) - 1);
}

/* Steps 1 to 3: (2^z - 1) x 2^8 of a logit so far below the largest, at its exponent. */
INLINE uint32_t power(int32_t below, int32_t exponent)
{
    uint32_t d = distance(below, exponent);
    uint32_t z = d < 40960 ? 40960 - d : 0, n = z >> 12, f = z & 4095;
    uint32_t m = 4096 + (f * (2709 + (1387 * f >> 12)) >> 12);
    return (m << n >> 4) - 256;
}

/* Steps 4 to 6 for one image. Every g is made twice, for their sum and for its own rounding: there is no
 * buffer for them. The error may overwrite the logits: each is read twice before. */
INLINE void softmax_error(const int8_t *o, int8_t *error, uint32_t classes, uint32_t label, int32_t exponent)
{
    int32_t largest = largest_logit(o, classes);
    uint32_t total = 0, together = 0;
    for (uint32_t i = 0; i < classes; ++i) total += power(largest - o[i], exponent);
    for (uint32_t i = 0; i < classes; ++i) together += (power(largest - o[i], exponent) << 11) / total;
    for (uint32_t i = 0; i < classes; ++i) {
        int32_t g = (int32_t)((power(largest - o[i], exponent) << 11) / total);
        if (i == label) g -= (int32_t)together;
        error[i] = (int8_t)clip(pseudo_stochastic(g, 4), -127, 127);
    }
}

INLINE void softmax_errors(const uint8_t *logits, const uint8_t *labels, uint32_t label_bytes, uint8_t *error,
                           uint32_t images, uint32_t classes, int32_t exponent)
{
    for (uint32_t b = 0; b < images; ++b)
        softmax_error((const int8_t *)logits + b * classes, (int8_t *)error + b * classes, classes,
                      label_at(labels, label_bytes, b), exponent);
}

/* Step 7: the loss of one image in 2^-12 bits. */
INLINE int32_t softmax_loss(const int8_t *o, uint32_t classes, uint32_t label, int32_t exponent)
{
    int32_t largest = largest_logit(o, classes);
    uint32_t y = 256;
    for (uint32_t i = 0; i < classes; ++i) y += power(largest - o[i], exponent);
    uint32_t n = (uint32_t)bit_length(y) - 1, f = y >> (n - 12) & 4095;
    uint32_t log2 = (n << 12) + f + (1423 * (f * (4096 - f) >> 12) >> 12);
    return (int32_t)(log2 + distance(largest - o[label], exponent)) - 18 * 4096;
}

/* Of all images together. */
INLINE int32_t softmax_losses(const uint8_t *logits, const uint8_t *labels, uint32_t label_bytes, uint32_t images,
                              uint32_t classes, int32_t exponent)
{
    int32_t sum = 0;
    for (uint32_t b = 0; b < images; ++b)
        sum += softmax_loss((const int8_t *)logits + b * classes, classes, label_at(labels, label_bytes, b), exponent);
    return sum;
}

/* NITRO-D: the distance to 32 for the label and 0 for all others. */
INLINE void nitro_errors(const uint8_t *logits, const uint8_t *labels, uint32_t label_bytes, uint8_t *error,
                         uint32_t images, uint32_t classes)
{
    for (uint32_t b = 0; b < images; ++b)
        for (uint32_t i = 0; i < classes; ++i) {
            int32_t target = i == label_at(labels, label_bytes, b) ? 32 : 0;
            error[b * classes + i] = (uint8_t)clip((int8_t)logits[b * classes + i] - target, -127, 127);
        }
}

#endif
