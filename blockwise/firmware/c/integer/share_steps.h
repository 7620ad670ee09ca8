/* Steps of weights of which only the first channels are trained, by their gradients. */
#ifndef BLOCKWISE_SHARE_STEPS_H
#define BLOCKWISE_SHARE_STEPS_H

#include "shares.h"
#include "update.h"

static inline void jump_by_sum(void *to, uint32_t i, int32_t sum)
{
    move_state(*(const struct update *)to, i, sum);
}

/* By gradients that waited. */
INLINE void update_share(struct geometry g, struct share s, struct update to, const int32_t *gradients)
{
    for (struct walk at = {0, 0, 0}; !is_behind(s, at); at = next_of(s, taps_of(g), at))
        if (to.coding == STATES)
            move_state(to, weight_of(g, at), *gradients++);
        else
            move_weight(to, weight_of(g, at), *gradients++);
}

/* Gradients are added to those of the batches before. */
INLINE void add_share_sums(struct geometry g, struct share s, struct errors e, struct integers x, int32_t *sums)
{
    share_weight_sums(g, s, e, x, false, add_sum, sums);
}

/* By gradients that are made again. */
INLINE void update_share_by_sums(
    struct geometry g, struct share s, struct errors e, struct integers x, struct update to)
{
    share_weight_sums(g, s, e, x, true, to.coding == STATES ? jump_by_sum : move_by_sum, &to);
}

#endif
