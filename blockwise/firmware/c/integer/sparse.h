/* Sums of products with errors that are held by the windows of a max pool: three of four errors of the map are 0 and
 * take no part. The others are listed, and every listed error multiplies a whole row of numbers. */
#ifndef BLOCKWISE_SPARSE_H
#define BLOCKWISE_SPARSE_H

#include "blocks.h"

#define SPARSE_LIST 32 /* errors listed at a time, and sums made at a time: both lie on the stack */
#define SPARSE_SUMS 32

/* A row's number in the high half, its error in the low one: rows have numbers below 65,536. */
typedef uint32_t listed;

KERNEL listed entry_of(uint32_t row, int32_t error)
{
    return row << 16 | (uint16_t)error;
}

/* Adds to sums[0 .. n - 1], for each listed error, its product with n numbers from first + row * stride on. */
typedef void (*adder)(
    int32_t *sums, uint32_t n, const listed *list, uint32_t count, struct integers numbers, uint32_t first,
    uint32_t stride);

KERNEL void plain_add_rows(
    int32_t *sums, uint32_t n, const listed *list, uint32_t count, struct integers numbers, uint32_t first,
    uint32_t stride)
{
    for (uint32_t r = 0; r < count; r++) {
        uint32_t from = first + (list[r] >> 16) * stride;
        int32_t error = (int16_t)list[r];
#pragma GCC unroll 1
        for (uint32_t c = 0; c < n; c++)
            sums[c] += error * integer_at(numbers, from + c);
    }
}

struct waiting {
    listed list[SPARSE_LIST];
    uint32_t count;
    int32_t sums[SPARSE_SUMS];
};

/* What listed errors multiply: n numbers of each row. */
struct rows {
    struct integers numbers;
    uint32_t first, stride, n;
};

KERNEL void flush(struct waiting *s, struct rows r, adder add)
{
    if (s->count)
        add(s->sums, r.n, s->list, s->count, r.numbers, r.first, r.stride);
    s->count = 0;
}

KERNEL void list_error(struct waiting *s, struct rows r, adder add, uint32_t row, int32_t error)
{
    s->list[s->count++] = entry_of(row, error);
    if (s->count == SPARSE_LIST)
        flush(s, r, add);
}

KERNEL void start(struct waiting *s, uint32_t n)
{
    s->count = 0;
#pragma GCC unroll 1
    for (uint32_t c = 0; c < n; c++)
        s->sums[c] = 0;
}

KERNEL void take_sums(const struct waiting *s, uint32_t n, uint32_t index, taker take, void *to)
{
#pragma GCC unroll 1
    for (uint32_t c = 0; c < n; c++)
        take(to, index + c, s->sums[c]);
}

/* Of the four places of a window, the taps by which an input meets them; NO_TAP where it does not. */
#define NO_TAP 0xFFFFFFFF
struct places {
    uint32_t taps[4];
};

KERNEL struct places places_of(struct geometry g, uint32_t k, uint32_t l, uint32_t y, uint32_t x)
{
    struct places p;
    for (uint32_t place = 0; place < 4; place++) {
        uint32_t u = k + g.padding_y - (2 * y + place / 2) * g.stride_y; /* beyond the kernel where negative */
        uint32_t v = l + g.padding_x - (2 * x + place % 2) * g.stride_x;
        p.taps[place] = u < g.kernel_height && v < g.kernel_width ? u * g.kernel_width + v : NO_TAP;
    }
    return p;
}

/* All filters' errors of one window, the first of them number n. */
KERNEL void list_window(
    struct geometry g, struct errors e, uint32_t n, struct places p, struct waiting *s, struct rows r, adder add)
{
    const int8_t *errors = (const int8_t *)e.values.at + n;
    for (uint32_t o = 0; o < g.filters; o++, n++) {
        uint32_t tap = p.taps[e.positions[n / 4] >> n % 4 * 2 & 3];
        if (errors[o] != 0 && tap != NO_TAP)
            list_error(s, r, add, o * g.kernel_height * g.kernel_width + tap, errors[o]);
    }
}

/* Windows that an input meets along one side: outputs from (k + padding - kernel + 1) / stride up, rounded up. */
KERNEL struct range windows_of(uint32_t k, uint32_t stride, uint32_t padding, uint32_t kernel, uint32_t outputs)
{
    uint32_t low = (above(k + padding + 1, kernel) + stride - 1) / stride, high = (k + padding) / stride;
    return (struct range){low / 2, smaller(outputs / 2, high / 2 + 1)};
}

/* The input's error: rows are the weights of a filter's tap. */
KERNEL void sparse_input_sums(
    struct geometry g, struct errors e, struct integers w, adder add, taker take, void *to)
{
    struct waiting s;
    uint32_t index = 0;
    for (uint32_t b = 0; b < g.images; b++)
        for (uint32_t k = 0; k < g.height; k++)
            for (uint32_t l = 0; l < g.width; l++)
                for (uint32_t c = 0; c < g.channels; c += SPARSE_SUMS) {
                    struct rows r = {w, c, g.channels, smaller(SPARSE_SUMS, g.channels - c)};
                    struct range ys = windows_of(k, g.stride_y, g.padding_y, g.kernel_height, g.rows);
                    struct range xs = windows_of(l, g.stride_x, g.padding_x, g.kernel_width, g.columns);
                    start(&s, r.n);
                    for (uint32_t y = ys.from; y < ys.to; y++)
                        for (uint32_t x = xs.from; x < xs.to; x++) {
                            uint32_t n = ((b * (g.rows / 2) + y) * (g.columns / 2) + x) * g.filters;
                            list_window(g, e, n, places_of(g, k, l, y, x), &s, r, add);
                        }
                    flush(&s, r, add);
                    take_sums(&s, r.n, index, take, to);
                    index += r.n;
                }
}

/* One error by some of the numbers, from..to - 1 of a row: at once. Those of 32 bits (NITRO-D) fit no list. */
KERNEL void add_alone(
    struct rows r, uint32_t row, uint32_t from, uint32_t to, int32_t error, bool words, struct waiting *s, adder add)
{
    listed alone = entry_of(row, error);
    if (!words) {
        add(s->sums + from, to - from, &alone, 1, r.numbers, r.first + from, r.stride);
        return;
    }
#pragma GCC unroll 1
    for (uint32_t c = from; c < to; c++)
        s->sums[c] = add_product(s->sums[c], error, integer_at(r.numbers, r.first + row * r.stride + c));
}

/* One error, at output (i, j) of an image: listed if all weights of the piece meet the map there. */
KERNEL void list_position(
    struct geometry g, struct rows r, struct weights p, uint32_t i, uint32_t j, int32_t error, bool words,
    struct waiting *s, adder add)
{
    uint32_t k = i * g.stride_y + p.u - g.padding_y; /* beyond the map where negative */
    struct range vs = taps_inside(j, g.stride_x, g.padding_x, g.kernel_width, g.width);
    uint32_t from = vs.from * g.channels, to = vs.to * g.channels;
    if (k >= g.height)
        return;
    if (!words && from <= p.at && p.at + p.count <= to) {
        list_error(s, r, add, k * g.width + j * g.stride_x, error);
        return;
    }
    from = above(from, p.at);
    to = smaller(above(to, p.at), p.count);
    if (from < to)
        add_alone(r, k * g.width + j * g.stride_x, from, to, error, words, s, add);
}

/* All errors of one filter in image b. */
KERNEL void list_image(
    struct geometry g, struct errors e, uint32_t b, struct rows r, struct weights p, struct waiting *s, adder add)
{
    for (uint32_t y = 0; y < g.rows / 2; y++)
        for (uint32_t x = 0; x < g.columns / 2; x++) {
            uint32_t n = ((b * (g.rows / 2) + y) * (g.columns / 2) + x) * g.filters + p.o;
            int32_t error = integer_at(e.values, n);
            uint32_t place = e.positions[n / 4] >> n % 4 * 2 & 3;
            bool words = e.values.coding == INT32;
            if (error != 0)
                list_position(g, r, p, 2 * y + place / 2, 2 * x + place % 2, error, words, s, add);
        }
    flush(s, r, add);
}

/* The gradients of at most SPARSE_SUMS weights: rows are the inputs from a position on, as far as they reach. */
KERNEL void sparse_weight_block(
    struct geometry g, struct errors e, struct integers x, struct weights p, adder add, taker take, void *to)
{
    struct waiting s;
    start(&s, p.count);
    for (uint32_t b = 0; b < g.images; b++) {
        uint32_t first = (b * g.height * g.width - g.padding_x) * g.channels + p.at;
        list_image(g, e, b, (struct rows){x, first, g.channels, p.count}, p, &s, add);
    }
    take_sums(&s, p.count, (p.o * g.kernel_height + p.u) * g.kernel_width * g.channels + p.at, take, to);
}

/* The weights' gradient. */
KERNEL void sparse_weight_sums(
    struct geometry g, struct errors e, struct integers x, adder add, taker take, void *to)
{
    uint32_t row = g.kernel_width * g.channels;
    for (uint32_t o = 0; o < g.filters; o++)
        for (uint32_t u = 0; u < g.kernel_height; u++)
            for (uint32_t at = 0; at < row; at += SPARSE_SUMS) {
                struct weights p = {o, u, at, smaller(SPARSE_SUMS, row - at), false};
                sparse_weight_block(g, e, x, p, add, take, to);
            }
}

/* Whether errors are held by windows of 2x2. */
KERNEL bool of_squares(struct errors e)
{
    return e.positions != NULL && e.window_y == 2 && e.window_x == 2;
}

/* Whether rows have numbers that fit, and errors too. */
KERNEL bool sparse_inputs(struct geometry g, struct errors e)
{
    bool few = g.filters * g.kernel_height * g.kernel_width <= 65536;
    return of_squares(e) && e.values.coding == INT8 && few;
}

KERNEL bool sparse_weights(struct geometry g, struct errors e)
{
    return of_squares(e) && g.height * g.width <= 65536;
}

#endif
