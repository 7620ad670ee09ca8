/* Performs what check.in asks for and writes to check.out what came of it, so that another program can compare.
 *
 * Both are streams of little-endian words. A record of check.in is its kind, the bytes of what follows, and
 * that: STEP takes a learning rate (4 bytes), images and labels; START a seed; STATE the whole state; PREDICT an
 * image. After STEP, START, STATE and END the whole state is written, after PREDICT the class and after CHECKSUM
 * the checksum, 4 bytes each. BEGIN takes the number of a phase and TENSOR that of a tensor of the state and what
 * it is to hold, and both write nothing; END takes nothing.
 *
 * A project that saves goes on behind its last save: then how many steps are behind is written to restored.out,
 * what was asked for before is passed over, and the state is the first one that is written. */
#include "blockwise.h"
#include "port.h"

enum kind { STEP = 1, START = 2, STATE = 3, PREDICT = 4, CHECKSUM = 5, BEGIN = 6, END = 7, TENSOR = 8 };

enum { OK = 0, NO_FILES = 1, SHORT = 2, UNKNOWN = 3, NOT_WRITTEN = 4, NOT_KEPT = 5 };

#ifdef BLOCKWISE_POISON
void BLOCKWISE_POISON(void); /* fills what holds nothing between records, so that nobody reads it unnoticed */
#endif

static int in, out;

static void read_bytes(uint8_t *to, uint32_t count)
{
    if (port_read(in, to, count) != count) port_exit(SHORT);
}

static uint32_t read_word(void)
{
    uint8_t b[4];
    read_bytes(b, 4);
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static void write_bytes(const uint8_t *from, uint32_t count)
{
    if (port_write(out, from, count)) port_exit(NOT_WRITTEN);
}

static void write_word(uint32_t word)
{
    uint8_t b[4] = {(uint8_t)word, (uint8_t)(word >> 8), (uint8_t)(word >> 16), (uint8_t)(word >> 24)};
    write_bytes(b, 4);
}

static void write_state(void)
{
    for (int i = 0; i < BLOCKWISE_TENSORS; ++i) write_bytes(blockwise_state[i].bytes, blockwise_state[i].size);
}

static void read_state(void)
{
    for (int i = 0; i < BLOCKWISE_TENSORS; ++i) read_bytes(blockwise_state[i].bytes, blockwise_state[i].size);
}

static void read_tensor(void)
{
    const uint32_t number = read_word();
    if (number >= BLOCKWISE_TENSORS) port_exit(UNKNOWN);
    read_bytes(blockwise_state[number].bytes, blockwise_state[number].size);
}

static void step(void)
{
    blockwise_set_rate_bits(read_word());
    read_bytes(blockwise_images(), BLOCKWISE_BATCH * BLOCKWISE_CHANNELS * BLOCKWISE_HEIGHT * BLOCKWISE_WIDTH);
    read_bytes(blockwise_labels(), BLOCKWISE_BATCH * BLOCKWISE_LABEL_BYTES);
    blockwise_step();
    write_state();
}

/* The power may be cut at any instruction: before a save is over, the one before it counts. */
static void keep(void)
{
#ifdef BLOCKWISE_SAVE_EVERY
    if (blockwise_steps() % BLOCKWISE_SAVE_EVERY == 0 && blockwise_save()) port_exit(NOT_KEPT);
#endif
}

static void perform(enum kind kind)
{
    switch (kind) {
    case STEP:
        step();
        keep();
        break;
    case START:
        blockwise_init(read_word());
        write_state();
        break;
    case STATE:
        read_state();
        write_state();
        break;
    case TENSOR:
        read_tensor();
        break;
    case CHECKSUM:
        write_word(blockwise_checksum());
        break;
#ifdef BLOCKWISE_PREDICTS
    case PREDICT:
        read_bytes(blockwise_image(), BLOCKWISE_CHANNELS * BLOCKWISE_HEIGHT * BLOCKWISE_WIDTH);
        write_word(blockwise_predict());
        break;
#endif
#ifdef BLOCKWISE_PHASES
    case BEGIN:
        blockwise_begin(read_word());
        break;
    case END:
        blockwise_end();
        write_state();
        break;
#endif
    default:
        port_exit(UNKNOWN);
    }
}

#ifdef BLOCKWISE_SAVE_EVERY
/* Reads over one record; returns its kind. */
static uint32_t pass(void)
{
    uint8_t piece[64];
    const uint32_t kind = read_word();
    for (uint32_t left = read_word(), count; left; left -= count) {
        count = left < sizeof piece ? left : sizeof piece;
        read_bytes(piece, count);
    }
    return kind;
}
#endif

/* Behind a power cut training goes on: what was asked for up to its last step that was kept is done. */
static void go_on(void)
{
#ifdef BLOCKWISE_SAVE_EVERY
    int behind = blockwise_restore();
    if (behind < 0) return;
    const uint8_t told[4] = {(uint8_t)behind, (uint8_t)(behind >> 8), (uint8_t)(behind >> 16), (uint8_t)(behind >> 24)};
    const int restored = port_open("restored.out", 1);
    if (port_write(restored, told, 4)) port_exit(NOT_WRITTEN);
    port_close(restored);
    while (behind) behind -= pass() == STEP;
    write_state();
#endif
}

int main(void)
{
    uint8_t kind[4];
    in = port_open("check.in", 0);
    out = port_open("check.out", 1);
    if (in < 0 || out < 0) port_exit(NO_FILES);
    go_on();
    while (port_read(in, kind, 4) == 4) {
        read_word();
#ifdef BLOCKWISE_POISON
        BLOCKWISE_POISON();
#endif
        perform((enum kind)kind[0]);
    }
    port_close(in);
    port_close(out);
    port_exit(OK);
}
