/* Sums that wait, or that are made once for the largest of them alone: docs/integer-arithmetic.md,
 * "Requantization". */
#ifndef BLOCKWISE_LARGEST_H
#define BLOCKWISE_LARGEST_H

#include "rounding.h"
#include "kernels.h"
#include "waiting.h"

enum largest_of {
    POSITIVE, /* before a ReLU negative sums count as 0 */
    MAGNITUDE
};

struct noted {
    struct sums to;
    enum largest_of of;
    uint32_t largest;
};

static inline void note_sum(void *context, uint32_t i, int32_t sum)
{
    struct noted *noted = context;
    uint32_t found = noted->of == MAGNITUDE ? magnitude(sum) : sum > 0 ? (uint32_t)sum : 0;
    (void)i;
    if (found > noted->largest) noted->largest = found;
}

static inline void keep_sum(void *context, uint32_t i, int32_t sum)
{
    note_sum(context, i, sum);
    put_sum(((struct noted *)context)->to, i, sum);
}

/* All of these return the largest. */

INLINE uint32_t buffered_sums(struct geometry g, struct integers x, struct integers w, struct sums to,
                              enum largest_of of)
{
    struct noted noted = {.to = to, .of = of};
    conv_sums(g, x, w, keep_sum, &noted);
    return noted.largest;
}

INLINE uint32_t largest_sum(struct geometry g, struct integers x, struct integers w, enum largest_of of)
{
    struct noted noted = {.of = of};
    conv_sums(g, x, w, note_sum, &noted);
    return noted.largest;
}

INLINE uint32_t buffered_input_sums(struct geometry g, struct errors e, struct integers w, struct sums to)
{
    struct noted noted = {.to = to, .of = MAGNITUDE};
    conv_input_sums(g, e, w, keep_sum, &noted);
    return noted.largest;
}

INLINE uint32_t largest_input_sum(struct geometry g, struct errors e, struct integers w)
{
    struct noted noted = {.of = MAGNITUDE};
    conv_input_sums(g, e, w, note_sum, &noted);
    return noted.largest;
}

INLINE uint32_t buffered_weight_sums(struct geometry g, struct errors e, struct integers x, struct sums to)
{
    struct noted noted = {.to = to, .of = MAGNITUDE};
    conv_weight_sums(g, e, x, keep_sum, &noted);
    return noted.largest;
}

INLINE uint32_t largest_weight_sum(struct geometry g, struct errors e, struct integers x)
{
    struct noted noted = {.of = MAGNITUDE};
    conv_weight_sums(g, e, x, note_sum, &noted);
    return noted.largest;
}

#endif
