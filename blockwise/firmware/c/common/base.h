/* What every generated file needs of the compiler. */
#ifndef BLOCKWISE_BASE_H
#define BLOCKWISE_BASE_H

#include <stdint.h>

/* Kernels are inlined into the function of each operation, where their shapes are constants. */
#define INLINE static inline __attribute__((always_inline))

/* An operation stays a function of its own: its symbol tells which instructions are its. */
#define NOINLINE __attribute__((noinline))

/* The array of a run of RAM: the linker script puts its section at the run's first address. */
#if defined(__APPLE__)
#define ARENA(number) __attribute__((aligned(8)))
#else
#define ARENA(number) __attribute__((section(".arena" #number), aligned(8)))
#endif

/* No load or store moves across it: what an operation touches is touched while it runs. */
INLINE void barrier(void)
{
    __asm__ volatile("" ::: "memory");
}

INLINE int32_t clip(int32_t x, int32_t low, int32_t high)
{
    return x < low ? low : x > high ? high : x;
}

INLINE void copy_bytes(uint8_t *to, const uint8_t *from, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        to[i] = from[i];
}

INLINE void clear_bytes(uint8_t *bytes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        bytes[i] = 0;
}

#endif
