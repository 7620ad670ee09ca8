/* float32 arithmetic that ends with the same bits on every core and on a PC.
 *
 * Each operation is rounded by itself (compile with -ffp-contract=off), sums have a fixed order, and what a
 * library would compute otherwise on another machine is written out here. */
#ifndef BLOCKWISE_FLOATS_EXACT_H
#define BLOCKWISE_FLOATS_EXACT_H

#include "../common/base.h"

#define SMALLEST_SIZE 1e-12f /* of a quantizer's step: values are divided by it */

INLINE uint32_t bits_of(float x) {
    union { float value; uint32_t bits; } both = {x};
    return both.bits;
}

INLINE float from_bits(uint32_t bits) {
    union { uint32_t bits; float value; } both = {bits};
    return both.value;
}

INLINE float magnitude(float x) { return from_bits(bits_of(x) & 0x7FFFFFFFu); }

INLINE float clamped(float x, float low, float high) { return x < low ? low : x > high ? high : x; }

/* The nearest whole number, halves to even, of |x| < 2^22: what is behind the point falls off the end of the
 * sum, which the processor rounds so. */
INLINE float rounded(float x) {
    const float shift = 12582912.0f; /* 1.5 * 2^23 */
    return (x + shift) - shift;
}

/* The size that a trained parameter stands for: above zero. */
INLINE float size_of(float p) {
    const float size = magnitude(p);
    return size < SMALLEST_SIZE ? SMALLEST_SIZE : size;
}

/* The correctly rounded root of x >= 0. One instruction where there is one; else bit by bit: of a mantissa
 * m * 2^25 the root has 25 bits, the last of which decides the rounding; no root lies half way. */
static inline __attribute__((unused)) float square_root(float x) {
#if defined(__arm__) && defined(__ARM_FP)
    float root;
    __asm__("vsqrt.f32 %0, %1" : "=t"(root) : "t"(x));
    return root;
#else
    uint32_t mantissa = bits_of(x) & 0x7FFFFFu, root = 0;
    int32_t exponent = (int32_t)(bits_of(x) >> 23) - 127;
    if (!(x > 0.0f) || exponent == 128)
        return x;
    if (exponent == -127) { /* below the normal numbers */
        for (exponent = -126; !(mantissa >> 23); exponent--)
            mantissa <<= 1;
    } else {
        mantissa |= 1u << 23;
    }
    if (exponent & 1) {
        mantissa <<= 1;
        exponent -= 1;
    }
    for (uint32_t bit = 1u << 24; bit; bit >>= 1) {
        const uint64_t trial = root | bit;
        if (trial * trial <= (uint64_t)mantissa << 25)
            root |= bit;
    }
    return from_bits(((uint32_t)(exponent / 2 + 126) << 23) + ((root + 1) >> 1));
#endif
}

INLINE float inverse_root(float x) { return 1.0f / square_root(x); }

/* (exp(x) - 1 - x) / x^2 near zero, by its series up to x^5. */
INLINE float beyond_linear(float x) {
    float sum = 1.0f / 5040.0f;
    sum = sum * x + 1.0f / 720.0f;
    sum = sum * x + 1.0f / 120.0f;
    sum = sum * x + 1.0f / 24.0f;
    sum = sum * x + 1.0f / 6.0f;
    return sum * x + 0.5f;
}

/* e^x: 2^n e^r with |r| <= ln(2) / 2, e^r by its series up to r^7, whose rest is below 2^-27. What would lie
 * below the normal numbers is zero. */
static inline __attribute__((unused)) float exponential(float x) {
    const float whole_ln2 = 0.693359375f, rest_ln2 = -2.12194440e-4f; /* whole_ln2 n is exact */
    if (x < -86.0f)
        return 0.0f;
    if (x > 88.0f)
        x = 88.0f;
    const float n = rounded(x * 1.44269504f);
    const float r = (x - n * whole_ln2) - n * rest_ln2;
    const float sum = beyond_linear(r) * r * r + r + 1.0f;
    return from_bits(bits_of(sum) + ((uint32_t)(int32_t)n << 23));
}

/* ln x of normal x > 0: n ln(2) + ln m with m from 1 / sqrt(2) to sqrt(2), ln m = 2 artanh s, s = (m - 1) / (m + 1),
 * by its series up to s^9, whose rest is below 2^-30. */
static inline __attribute__((unused)) float logarithm(float x) {
    const float whole_ln2 = 0.693359375f, rest_ln2 = -2.12194440e-4f;
    const uint32_t above = bits_of(x) + 0x3F800000u - 0x3F3504F3u; /* one more in the exponent from sqrt(2) on */
    const float n = (float)((int32_t)(above >> 23) - 127);
    const float m = from_bits((above & 0x7FFFFFu) + 0x3F3504F3u);
    const float s = (m - 1.0f) / (m + 1.0f), square = s * s;
    float sum = 2.0f / 9.0f;
    sum = sum * square + 2.0f / 7.0f;
    sum = sum * square + 2.0f / 5.0f;
    sum = sum * square + 2.0f / 3.0f;
    sum = sum * square + 2.0f;
    return n * whole_ln2 + (n * rest_ln2 + s * sum);
}

#endif
