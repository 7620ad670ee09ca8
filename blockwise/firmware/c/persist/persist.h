/* What persist.c has to know of a step, beside its tensors. */
#ifndef BLOCKWISE_PERSIST_H
#define BLOCKWISE_PERSIST_H

#include <stdint.h>

/* Where a training is: steps that are behind, the phase that has begun, the bits of the learning rate. */
struct position {
    uint32_t steps, phase, rate;
};

struct position blockwise_position(void);
void blockwise_go_to(struct position there);

#endif
