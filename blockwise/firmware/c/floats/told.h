/* What activations read and made, told to whoever compares on this computer: the file told.out. */
#ifndef BLOCKWISE_FLOATS_TOLD_H
#define BLOCKWISE_FLOATS_TOLD_H

#include <stdio.h>

#include "maps.h"

static void tell(const void *from, uint32_t bytes) {
    static FILE *told;
    if (!told)
        told = fopen("told.out", "wb");
    fwrite(from, 1, bytes, told);
}

/* An operand, channel by channel, each behind its filter. */
INLINE void tell_map(struct map m, float_at from, channel_begins begins, const float *held) {
    for (int c = 0; c < m.channels; c++) {
        begins(held, c);
        for (int b = 0; b < m.batch; b++)
            for (int y = 0; y < m.height; y++)
                for (int x = 0; x < m.width; x++) {
                    const float value = from(held, b, y, x, c);
                    tell(&value, sizeof value);
                }
    }
}

#endif
