/* What the start-up code offers. */

#ifndef BLOCKWISE_START_H
#define BLOCKWISE_START_H

#include <stdint.h>

/* The most bytes that the stack held since power-on, by the paint that is left below. */
uint32_t blockwise_stack_bytes(void);

/* Called once when a fault at the instruction pc, or with 0 the end of main(), has stopped the core. Define it
 * to tell somebody. */
void blockwise_stopped(uint32_t pc);

#endif
