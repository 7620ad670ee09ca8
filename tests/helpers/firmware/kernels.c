/* Runs cases that a test prepared through the kernels of one variant, and keeps all sums.
 *
 * Input words: number of cases; each case: 16 of geometry (as struct geometry), codings of x, weights and errors,
 * whether errors are pooled, bytes of x, weights, errors, positions; then these bytes, each padded to words.
 * Output words: y, then ex, then G of each case. */
#include "kernels_under_test.h"

struct kept {
    int32_t *sums;
};

static void keep(void *to, uint32_t index, int32_t sum)
{
    ((struct kept *)to)->sums[index] = sum;
}

static const uint8_t *taken(const uint8_t **at, uint32_t bytes)
{
    const uint8_t *found = *at;
    *at += (bytes + 3) / 4 * 4;
    return found;
}

static const uint32_t *run_case(const uint32_t *in, int32_t **out)
{
    struct geometry g;
    const uint8_t *bytes = (const uint8_t *)(in + 24);
    __builtin_memcpy(&g, in, sizeof g);
    struct integers x = {taken(&bytes, in[20]), (enum coding)in[16]};
    struct integers w = {taken(&bytes, in[21]), (enum coding)in[17]};
    struct errors e = {{taken(&bytes, in[22]), (enum coding)in[18]}, NULL, 2, 2, 2};
    const uint8_t *positions = taken(&bytes, in[23]);
    e.positions = in[19] ? positions : NULL;
    struct kept to = {*out};
    CONV_SUMS(g, x, w, keep, &to);
    to.sums += g.images * g.rows * g.columns * g.filters;
    CONV_INPUT_SUMS(g, e, w, keep, &to);
    to.sums += g.images * g.height * g.width * g.channels;
    CONV_WEIGHT_SUMS(g, e, x, keep, &to);
    *out = to.sums + g.filters * g.kernel_height * g.kernel_width * seen_channels(g);
    return (const uint32_t *)(const void *)bytes;
}

uint32_t run_cases(const uint32_t *in, int32_t *out)
{
    const int32_t *start = out;
    const uint32_t count = *in++;
    for (uint32_t i = 0; i < count; i++)
        in = run_case(in, &out);
    return (uint32_t)(out - start);
}
