/* Sums that wait to become codes: the first of them lie where their codes will. */
#ifndef BLOCKWISE_WAITING_H
#define BLOCKWISE_WAITING_H

#include "../common/base.h"

struct sums {
    int32_t *front, *rest;
    uint32_t in_front;
};

INLINE int32_t sum_at(struct sums s, uint32_t i)
{
    return i < s.in_front ? s.front[i] : s.rest[i - s.in_front];
}

INLINE void put_sum(struct sums s, uint32_t i, int32_t sum)
{
    if (i < s.in_front)
        s.front[i] = sum;
    else
        s.rest[i - s.in_front] = sum;
}

#endif
