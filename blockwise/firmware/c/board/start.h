/* What the start-up code knows of the stack. */

#ifndef BLOCKWISE_START_H
#define BLOCKWISE_START_H

#include <stdint.h>

/* The most bytes that the stack held since power-on, by the paint that is left below. */
uint32_t blockwise_stack_bytes(void);

#endif
