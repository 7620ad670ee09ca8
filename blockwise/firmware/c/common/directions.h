/* Random directions, drawn again wherever they are needed: docs/integer-arithmetic.md, "Zeroth order". */
#ifndef BLOCKWISE_DIRECTIONS_H
#define BLOCKWISE_DIRECTIONS_H

#include "xorshift.h"

/* The first state of a tensor's generator in a direction, both by their numbers. */
INLINE uint32_t direction_state(uint32_t seed, uint32_t tensor, uint32_t direction)
{
    return first_state(first_state(seed, 65536 + tensor), direction);
}

#endif
