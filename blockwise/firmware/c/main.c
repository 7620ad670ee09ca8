/* An example of a program that trains: put your own sensor in the place of next_batch. */
#include "blockwise.h"

enum { PIXELS = BLOCKWISE_HEIGHT * BLOCKWISE_WIDTH * BLOCKWISE_CHANNELS, STEPS = 100 };

/* An image, the channels of a pixel side by side: here a pattern for each class. */
static void image_of(uint32_t label, uint8_t *image)
{
    for (int pixel = 0; pixel < PIXELS; pixel++)
        image[pixel] = (uint8_t)(pixel * (label + 1));
}

/* The next BLOCKWISE_BATCH images, and what they show. */
static void next_batch(uint8_t *images, uint8_t *labels)
{
    static uint32_t number;
    for (int b = 0; b < BLOCKWISE_BATCH; b++, number++) {
        uint32_t label = number % BLOCKWISE_CLASSES;
        image_of(label, images + b * PIXELS);
        for (int byte = 0; byte < BLOCKWISE_LABEL_BYTES; byte++)
            *labels++ = (uint8_t)(label >> 8 * byte);
    }
}

static void train(void)
{
    for (int step = 0; step < STEPS; step++) {
        next_batch(blockwise_images(), blockwise_labels());
        blockwise_step();
    }
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
    blockwise_init(1);
#ifdef BLOCKWISE_GIVEN /* go on with trained weights */
    blockwise_state_write(blockwise_given);
#endif
#ifdef BLOCKWISE_PHASES /* blocks are trained one behind the other */
    for (uint32_t phase = 0; phase < BLOCKWISE_PHASES; phase++) {
        blockwise_begin(phase);
        train();
        blockwise_end();
    }
#else
    train();
#endif
#ifdef BLOCKWISE_PREDICTS
    return right() == 0; /* watch it in a debugger */
#else
    return 0;
#endif
}
