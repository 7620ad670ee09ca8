/* A call of the debugger or emulator that watches: its number in r0, its block of words in r1.
 *
 * Source: Arm, "Semihosting for AArch32 and AArch64". */
#ifndef BLOCKWISE_SEMIHOSTING_H
#define BLOCKWISE_SEMIHOSTING_H

#include <stdint.h>

static inline uint32_t semihosted(uint32_t number, const uint32_t *block)
{
    register uint32_t r0 __asm__("r0") = number;
    register const uint32_t *r1 __asm__("r1") = block;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static inline uint32_t word_of(const void *pointer) { return (uint32_t)(uintptr_t)pointer; }

#endif
