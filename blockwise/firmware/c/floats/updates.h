/* The loss, and the optimizer's step on one parameter. */
#ifndef BLOCKWISE_FLOATS_UPDATES_H
#define BLOCKWISE_FLOATS_UPDATES_H

#include "maps.h"

INLINE uint32_t label_at(const uint8_t *labels, int bytes, int row) {
    uint32_t label = 0;
    for (int byte = 0; byte < bytes; byte++)
        label |= (uint32_t)labels[row * bytes + byte] << 8 * byte;
    return label;
}

INLINE float largest_logit(int classes, float_at logits, const float *held, int row) {
    float most = logits(held, row, 0, 0, 0);
    for (int c = 1; c < classes; c++) {
        const float x = logits(held, row, 0, 0, c);
        most = x > most ? x : most;
    }
    return most;
}

/* The sum of the losses of all rows. */
INLINE float cross_entropy_losses(int rows, int classes, float_at logits, const float *held, const uint8_t *labels,
                                  int label_bytes) {
    float whole = 0.0f;
    for (int row = 0; row < rows; row++) {
        const float most = largest_logit(classes, logits, held, row);
        float sum = 0.0f;
        for (int c = 0; c < classes; c++)
            sum += exponential(logits(held, row, 0, 0, c) - most);
        whole += logarithm(sum) - (logits(held, row, 0, 0, (int)label_at(labels, label_bytes, row)) - most);
    }
    return whole;
}

/* Cross entropy: (softmax - one-hot) / images over the logits (rows, classes). */
INLINE void cross_entropy(int rows, int classes, float images, float_at logits, const float *held,
                                 const uint8_t *labels, int label_bytes, float *to) {
    for (int row = 0; row < rows; row++) {
        const float most = largest_logit(classes, logits, held, row);
        const uint32_t label = label_at(labels, label_bytes, row);
        float sum = 0.0f;
        for (int c = 0; c < classes; c++) {
            const float e = exponential(logits(held, row, 0, 0, c) - most);
            to[row * classes + c] = e;
            sum += e;
        }
        for (int c = 0; c < classes; c++)
            to[row * classes + c] = (to[row * classes + c] / sum - (c == (int)label ? 1.0f : 0.0f)) / images;
    }
}

/* The sum of exp((logit - most) / temperature). */
INLINE float softened_sum(int classes, float_at logits, const float *held, int row, float most, float temperature) {
    float sum = 0.0f;
    for (int c = 0; c < classes; c++)
        sum += exponential((logits(held, row, 0, 0, c) - most) / temperature);
    return sum;
}

/* The same with a share `weight` of the distance to `answers` (rows, classes), both softened. */
INLINE void distilled_cross_entropy(int rows, int classes, float images, float_at logits, const float *held,
                                    const uint8_t *labels, int label_bytes, const float *answers,
                                    float temperature, float weight, float *to) {
    for (int row = 0; row < rows; row++) {
        const float *answer = answers + row * classes;
        const float most = largest_logit(classes, logits, held, row);
        const float sum = softened_sum(classes, logits, held, row, most, 1.0f);
        const float soft = softened_sum(classes, logits, held, row, most, temperature);
        const uint32_t label = label_at(labels, label_bytes, row);
        float top = answer[0], whole = 0.0f;
        for (int c = 1; c < classes; c++)
            top = answer[c] > top ? answer[c] : top;
        for (int c = 0; c < classes; c++)
            whole += exponential((answer[c] - top) / temperature);
        for (int c = 0; c < classes; c++) {
            const float x = logits(held, row, 0, 0, c) - most;
            const float hard = exponential(x) / sum - (c == (int)label ? 1.0f : 0.0f);
            const float apart = exponential(x / temperature) / soft - exponential((answer[c] - top) / temperature) / whole;
            to[row * classes + c] = ((1.0f - weight) * hard + weight * temperature * apart) / images;
        }
    }
}

/* The first of the largest logits. */
INLINE uint32_t largest_of(const float *logits, int classes) {
    int best = 0;
    for (int c = 1; c < classes; c++)
        if (logits[c] > logits[best])
            best = c;
    return (uint32_t)best;
}

/* How far a parameter goes. A size moves by shares of itself, each `share` at most; else `share` is 0. */
struct pace { float rate, decay, share, smallest; };

/* Stochastic gradient descent; with `states`, one value of which is kept, Nesterov's momentum. */
INLINE float sgd(float value, float g, float *state, float momentum, float rate) {
    if (!state)
        return value - rate * g;
    const float moment = momentum * *state + g;
    *state = moment;
    return value - rate * (g + momentum * moment);
}

INLINE void update(int count, float *values, const float *gradient, float *states, float momentum, struct pace p) {
    for (int i = 0; i < count; i++) {
        float *state = states ? states + i : 0;
        const float value = values[i];
        if (p.share == 0.0f) {
            values[i] = sgd(value, gradient[i] + p.decay * value, state, momentum, p.rate);
            continue;
        }
        const float size = value < 0.0f ? (value < -p.smallest ? value : -p.smallest)
                                        : (value > p.smallest ? value : p.smallest);
        const float share = clamped(gradient[i] / size + p.decay, -p.share, p.share);
        values[i] = size * exponential(sgd(0.0f, share, state, momentum, p.rate));
    }
}

#endif
