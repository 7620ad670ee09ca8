/* Two numbers of 16 bits in a word, which one instruction of the DSP extension multiplies and adds.
 * Where there is no such extension (on a PC) the same in C. */
#ifndef BLOCKWISE_LANES_H
#define BLOCKWISE_LANES_H

#include "../operands.h"

#if defined(__ARM_FEATURE_SIMD32)
#include <arm_acle.h>
#elif defined(__ARM_ARCH_PROFILE) && __ARM_ARCH_PROFILE == 'M'
#error "this core has no DSP extension, or the compiler was not told of it"
#endif

/* Four bytes; Cortex-M with this extension load them from any address. */
KERNEL uint32_t word_at(const uint8_t *at)
{
    uint32_t word;
    __builtin_memcpy(&word, at, 4);
    return word;
}

/* Two bytes. */
KERNEL uint32_t half_at(const uint8_t *at)
{
    uint16_t half;
    __builtin_memcpy(&half, at, 2);
    return half;
}

/* The first count < 4 bytes of a word, the others 0: nothing behind them is read. */
KERNEL uint32_t part_at(const uint8_t *at, uint32_t count)
{
    uint32_t word = count & 2 ? half_at(at) : 0;
    return count & 1 ? word | (uint32_t)at[count & 2] << (count & 2) * 8 : word;
}

/* Bytes 0 and 2 with their signs (SXTB16). */
KERNEL uint32_t even_bytes(uint32_t x)
{
#if defined(__ARM_FEATURE_SIMD32)
    return (uint32_t)__sxtb16(x);
#else
    return (uint16_t)(int8_t)x | (uint32_t)(int8_t)(x >> 16) << 16;
#endif
}

/* Bytes 1 and 3. GCC does not put the rotation into the instruction by itself. */
KERNEL uint32_t odd_bytes(uint32_t x)
{
#if defined(__ARM_FEATURE_SIMD32) && defined(__clang__)
    return (uint32_t)__sxtb16(__ror(x, 8));
#elif defined(__ARM_FEATURE_SIMD32)
    uint32_t bytes;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(bytes) : "r"(x));
    return bytes;
#else
    return even_bytes(x >> 8);
#endif
}

/* The low halves of two words (PKHBT). Compilers that see through it mask each half by itself. */
KERNEL uint32_t low_halves(uint32_t a, uint32_t b)
{
#if defined(__ARM_FEATURE_SIMD32)
    uint32_t both;
    __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(both) : "r"(a), "r"(b));
    return both;
#else
    return (a & 0xFFFF) | b << 16;
#endif
}

/* The high halves of two words (PKHTB). */
KERNEL uint32_t high_halves(uint32_t a, uint32_t b)
{
#if defined(__ARM_FEATURE_SIMD32)
    uint32_t both;
    __asm__("pkhtb %0, %1, %2, asr #16" : "=r"(both) : "r"(b), "r"(a));
    return both;
#else
    return a >> 16 | (b & 0xFFFF0000);
#endif
}

/* sum + a0 b0 + a1 b1 (SMLAD). */
KERNEL int32_t add_products(int32_t sum, uint32_t a, uint32_t b)
{
#if defined(__ARM_FEATURE_SIMD32)
    return __smlad((int16x2_t)a, (int16x2_t)b, sum);
#else
    return sum + (int16_t)a * (int16_t)b + (int16_t)(a >> 16) * (int16_t)(b >> 16);
#endif
}

/* sum + a0 b0 (SMLABB). */
KERNEL int32_t add_low(int32_t sum, uint32_t a, uint32_t b)
{
#if defined(__ARM_FEATURE_SIMD32)
    return __smlabb((int32_t)a, (int32_t)b, sum);
#else
    return sum + (int16_t)a * (int16_t)b;
#endif
}

/* sum + a1 b0 (SMLATB). */
KERNEL int32_t add_high(int32_t sum, uint32_t a, uint32_t b)
{
#if defined(__ARM_FEATURE_SIMD32)
    return __smlatb((int32_t)a, (int32_t)b, sum);
#else
    return sum + (int16_t)(a >> 16) * (int16_t)b;
#endif
}

#endif
