/* Activations by themselves, and their derivatives: at the input x, or read off the output y. */
#ifndef BLOCKWISE_FLOATS_FORMS_H
#define BLOCKWISE_FLOATS_FORMS_H

#include "exact.h"

INLINE float leaky(float x, float slope) { return x < 0.0f ? slope * x : x; }

/* A step of a hard form: from 0 at -3 to 1 at 3. */
INLINE float hard_sigmoid(float x) { return clamped(x + 3.0f, 0.0f, 6.0f) / 6.0f; }

INLINE float hard_sigmoid_slope_of(float y) { return y > 0.0f && y < 1.0f ? 1.0f / 6.0f : 0.0f; }

INLINE float hard_swish(float x) { return x * hard_sigmoid(x); }

INLINE float hard_swish_slope(float x) { return x <= -3.0f ? 0.0f : x < 3.0f ? x / 3.0f + 0.5f : 1.0f; }

/* By ``far``, which is exp(-|x|). */
INLINE float sigmoid_by(float x, float far) { return (x < 0.0f ? far : 1.0f) / (1.0f + far); }

INLINE float sigmoid(float x) { return sigmoid_by(x, exponential(-magnitude(x))); }

INLINE float sigmoid_slope_of(float y) { return y * (1.0f - y); }

INLINE float silu(float x) { return x * sigmoid(x); }

INLINE float silu_slope(float x) {
    const float s = sigmoid(x);
    return s * (1.0f + x * (1.0f - s));
}

/* (1 - e) / (1 + e), e = exp(-2 |x|); near zero, where that cancels, the series, whose rest is below 2^-27. */
INLINE float hyperbolic_tangent(float x) {
    const float size = magnitude(x), square = x * x, far = exponential(-2.0f * size);
    float sum = 62.0f / 2835.0f;
    sum = sum * square - 17.0f / 315.0f;
    sum = sum * square + 2.0f / 15.0f;
    sum = sum * square - 1.0f / 3.0f;
    if (size < 0.2f)
        return x + x * (square * sum);
    return (x < 0.0f ? far - 1.0f : 1.0f - far) / (1.0f + far);
}

INLINE float hyperbolic_tangent_slope_of(float y) { return 1.0f - y * y; }

/* exp(x) - 1 below zero; near it, where that cancels, the series, whose rest is below 2^-27. */
INLINE float elu(float x, float alpha) {
    if (x >= 0.0f)
        return x;
    return alpha * (x > -0.25f ? x + x * (beyond_linear(x) * x) : exponential(x) - 1.0f);
}

/* ``above`` zero, or what was made and the slope just ``below``. */
INLINE float elu_slope_of(float y, float above, float below) { return y > 0.0f ? above : y + below; }

/* tanh(log(1 + e)), e = exp(x), is n / (n + 2) with n = e (e + 2); both divided by e^2 where that is large. */
INLINE float mish_n(float x, float far) { return x < 0.0f ? far * (far + 2.0f) : 1.0f + 2.0f * far; }

INLINE float mish_rest(float x, float far) { return x < 0.0f ? 2.0f : 2.0f * (far * far); }

INLINE float mish(float x) {
    const float far = exponential(-magnitude(x)), n = mish_n(x, far);
    return x * (n / (n + mish_rest(x, far)));
}

/* t + x (1 - t^2) sigmoid(x), 1 - t as what is left of n + 2, for it is small where t is near 1. */
INLINE float mish_slope(float x) {
    const float far = exponential(-magnitude(x)), n = mish_n(x, far), rest = mish_rest(x, far);
    const float t = n / (n + rest);
    return t + x * (rest / (n + rest) * (1.0f + t)) * sigmoid_by(x, far);
}

/* The density of the normal distribution. */
INLINE float normal_density(float x) { return exponential(-0.5f * (x * x)) * 0.398942280f; }

/* Its share below x. That beyond |x| is exp(-x^2 / 2) times a polynomial of t = 1 / (1 + 0.4 |x|), fitted to
 * within 4e-7 of it. */
INLINE float normal_share(float x) {
    const float t = 1.0f / (1.0f + 0.4f * magnitude(x));
    float sum = -0.0379327983f;
    sum = sum * t + 0.192405328f;
    sum = sum * t - 0.356619984f;
    sum = sum * t + 0.231364399f;
    sum = sum * t + 0.00118237105f;
    sum = sum * t + 0.152642995f;
    sum = sum * t + 0.157258838f;
    sum = sum * t + 0.159698829f;
    const float beyond = exponential(-0.5f * (x * x)) * (t * sum);
    return x < 0.0f ? beyond : 1.0f - beyond;
}

INLINE float gelu(float x) { return x * normal_share(x); }

INLINE float gelu_slope(float x) { return normal_share(x) + x * normal_density(x); }

/* The formula that stands for it: x (1 + tanh z) / 2 = x sigmoid(2 z), z = sqrt(2 / pi) (x + 0.044715 x^3). */
INLINE float twice_z(float x) { return 1.59576912f * (x + 0.044715f * (x * x * x)); }

INLINE float gelu_by_tanh(float x) { return x * sigmoid(twice_z(x)); }

INLINE float gelu_by_tanh_slope(float x) {
    const float z = twice_z(x), s = sigmoid(z);
    return s + x * (s * sigmoid(-z)) * (1.59576912f * (1.0f + 0.134145f * (x * x)));
}

#endif
