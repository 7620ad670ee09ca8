/* Weights of which only the first channels take steps: docs/integer-arithmetic.md, "Updates".
 *
 * Of the first `outputs` filters they are the first `inputs` channels at each tap, and one more at the first `more`
 * taps (of a linear layer behind a map, whose features go by channel). They are gone through in the order (o, c, u, v),
 * in which jumps are drawn and gradients wait. */
#ifndef BLOCKWISE_SHARES_H
#define BLOCKWISE_SHARES_H

#include "largest.h"

struct share {
    uint32_t outputs, inputs, more;
};

struct walk {
    uint32_t filter, channel, tap;
};

KERNEL bool is_behind(struct share s, struct walk at) { return at.filter == s.outputs; }

/* The next one that takes steps, of `taps` a channel. */
KERNEL struct walk next_of(struct share s, uint32_t taps, struct walk at)
{
    do {
        if (++at.tap == taps) {
            at.tap = 0;
            if (++at.channel == s.inputs + (s.more > 0)) {
                at.channel = 0;
                at.filter++;
            }
        }
    } while (!is_behind(s, at) && at.channel >= s.inputs + (at.tap < s.more));
    return at;
}

KERNEL uint32_t taps_of(struct geometry g) { return g.kernel_height * g.kernel_width; }

KERNEL uint32_t weight_of(struct geometry g, struct walk at)
{
    return (at.filter * taps_of(g) + at.tap) * seen_channels(g) + at.channel;
}

KERNEL int32_t share_weight_sum(struct geometry g, struct errors e, struct integers x, struct walk at)
{
    return general_weight_sum(g, e, x, at.filter, at.tap / g.kernel_width, at.tap % g.kernel_width, at.channel);
}

/* Calls take(to, index, sum) for each: by its place among all weights if `whole`, else by its number. */
KERNEL void share_weight_sums(
    struct geometry g, struct share s, struct errors e, struct integers x, bool whole, taker take, void *to)
{
    uint32_t number = 0;
    for (struct walk at = {0, 0, 0}; !is_behind(s, at); at = next_of(s, taps_of(g), at), number++)
        take(to, whole ? weight_of(g, at) : number, share_weight_sum(g, e, x, at));
}

INLINE uint32_t buffered_share_sums(
    struct geometry g, struct share s, struct errors e, struct integers x, struct sums to)
{
    struct noted noted = {.to = to, .of = MAGNITUDE};
    share_weight_sums(g, s, e, x, false, keep_sum, &noted);
    return noted.largest;
}

INLINE uint32_t largest_share_sum(struct geometry g, struct share s, struct errors e, struct integers x)
{
    struct noted noted = {.of = MAGNITUDE};
    share_weight_sums(g, s, e, x, false, note_sum, &noted);
    return noted.largest;
}

#endif
