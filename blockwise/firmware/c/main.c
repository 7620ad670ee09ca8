/* An example of a program that trains: put your own sensor in the place of next_batch. */
#include "blockwise.h"

enum { PIXELS = BLOCKWISE_HEIGHT * BLOCKWISE_WIDTH * BLOCKWISE_CHANNELS, STEPS = 100 };

/* An image, the channels of a pixel side by side: here a pattern for each class. */
static void image_of(uint32_t label, uint8_t *image)
{
    for (int pixel = 0; pixel < PIXELS; pixel++)
        image[pixel] = (uint8_t)(pixel * (label + 1));
}

/* Steps that are behind. */
static uint32_t done;

/* The next BLOCKWISE_BATCH images, and what they show. */
static void next_batch(uint8_t *images, uint8_t *labels)
{
    uint32_t number = done * BLOCKWISE_BATCH;
    for (int b = 0; b < BLOCKWISE_BATCH; b++, number++) {
        uint32_t label = number % BLOCKWISE_CLASSES;
        image_of(label, images + b * PIXELS);
        for (int byte = 0; byte < BLOCKWISE_LABEL_BYTES; byte++)
            *labels++ = (uint8_t)(label >> 8 * byte);
    }
}

/* Until so many steps are behind. */
static void train(uint32_t steps)
{
    while (done < steps) {
        next_batch(blockwise_images(), blockwise_labels());
        blockwise_step();
        done++;
#ifdef BLOCKWISE_SAVE_EVERY
        if (done % BLOCKWISE_SAVE_EVERY == 0)
            blockwise_save(); /* a -1 that your flash_board.c explains: the training goes on without */
#endif
    }
}

/* Returns whether a training goes on that a power cut has stopped. */
static int start(void)
{
#ifdef BLOCKWISE_SAVE_EVERY
    int behind = blockwise_restore();
    if (behind > 0) {
        done = (uint32_t)behind;
        return 1;
    }
#endif
    blockwise_init(1);
#ifdef BLOCKWISE_GIVEN /* go on with trained weights */
    blockwise_state_write(blockwise_given);
#endif
    return 0;
}

#ifdef BLOCKWISE_PREDICTS
/* How many classes are told by their pattern. */
static int right(void)
{
    int count = 0;
    for (uint32_t label = 0; label < BLOCKWISE_CLASSES; label++) {
        image_of(label, blockwise_image());
        count += blockwise_predict() == label;
    }
    return count;
}
#endif

int main(void)
{
    int goes_on = start();
#ifdef BLOCKWISE_PHASES /* blocks are trained one behind the other */
    for (uint32_t phase = goes_on ? (done - 1) / STEPS : 0; phase < BLOCKWISE_PHASES; phase++) {
        if (!goes_on) blockwise_begin(phase);
        goes_on = 0;
        train((phase + 1) * STEPS);
        blockwise_end();
    }
#else
    (void)goes_on;
    train(STEPS);
#endif
#ifdef BLOCKWISE_PREDICTS
    return right() == 0; /* watch it in a debugger */
#else
    return 0;
#endif
}
