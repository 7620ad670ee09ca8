/* Keeps a training in two slots of flash that take turns, so that a power cut at any instruction loses no more
 * than the steps since the last save: docs/firmware.md, "A power cut".
 *
 * A slot is a header and, behind it, all tensors of blockwise_state. The slot that is older, or none, is erased and
 * written; its header comes last, and the checksum is the header's last word. Until then the other slot counts. */
#include "blockwise.h"
#include "flash.h"
#include "kernels/common/crc32.h"
#include "persist.h"

enum { FORMAT = 0x31575042, UNIT = BLOCKWISE_UNIT_BYTES, PIECE = 32, NONE = -1 }; /* "BPW1" */

struct header {
    uint32_t format, layout, generation, steps, phase, rate, bytes;
    uint32_t checksum; /* CRC-32 of the words before it, and of the tensors */
};

enum { COVERED = sizeof(struct header) - 4, TENSORS = (sizeof(struct header) + UNIT - 1) / UNIT * UNIT };

/* The slot that counts, and its generation; looked up in flash once after power-on. */
static struct {
    int32_t slot;
    uint32_t generation;
    int32_t known;
} newest;

static uint32_t place_of(int slot) { return (uint32_t)slot * BLOCKWISE_SLOT_BYTES; }

static uint32_t crc_of(uint32_t crc, const uint8_t *bytes, uint32_t count)
{
    while (count--) crc = crc32_next(crc, *bytes++);
    return crc;
}

/* Words go to flash as they lie in memory, low bytes first. */
static const uint8_t *bytes_of(const struct header *header) { return (const uint8_t *)header; }

/* Reading. */

static uint32_t least(uint32_t a, uint32_t b) { return a < b ? a : b; }

/* Whether a slot has a header of this program whose checksum is that of header and tensors. */
static int is_whole(int slot, struct header *header)
{
    uint8_t piece[PIECE];
    if (flash_read(place_of(slot), (uint8_t *)header, sizeof *header)) return 0;
    if (header->format != FORMAT || header->layout != BLOCKWISE_LAYOUT || header->bytes != BLOCKWISE_STATE_BYTES)
        return 0;
    uint32_t crc = crc_of(CRC32_START, bytes_of(header), COVERED);
    for (uint32_t at = 0, count; at < BLOCKWISE_STATE_BYTES; at += count) {
        count = least(PIECE, BLOCKWISE_STATE_BYTES - at);
        if (flash_read(place_of(slot) + TENSORS + at, piece, count)) return 0;
        crc = crc_of(crc, piece, count);
    }
    return crc32_end(crc) == header->checksum;
}

/* Word by word: of a copy as a whole compilers make a call of memcpy, which is not there. */
static void copy(struct header *to, const struct header *from)
{
    to->format = from->format, to->layout = from->layout, to->generation = from->generation;
    to->steps = from->steps, to->phase = from->phase, to->rate = from->rate;
    to->bytes = from->bytes, to->checksum = from->checksum;
}

static void look(struct header *found)
{
    struct header header;
    newest.slot = NONE;
    newest.generation = 0;
    newest.known = 1;
    for (int slot = 0; slot < 2; slot++)
        if (is_whole(slot, &header) && (newest.slot == NONE || header.generation > newest.generation)) {
            newest.slot = slot;
            newest.generation = header.generation;
            copy(found, &header);
        }
}

int blockwise_restore(void)
{
    struct header header;
    look(&header);
    if (newest.slot == NONE) return -1;
    uint32_t at = place_of(newest.slot) + TENSORS;
    for (int i = 0; i < BLOCKWISE_TENSORS; at += blockwise_state[i++].size)
        if (flash_read(at, blockwise_state[i].bytes, blockwise_state[i].size)) return -1;
    blockwise_go_to((struct position){header.steps, header.phase, header.rate});
    return (int)header.steps;
}

/* Writing. */

/* Bytes that wait until they fill a unit. */
struct writer {
    uint8_t unit[UNIT] __attribute__((aligned(8)));
    uint32_t held, at;
    int failed;
};

static void put(struct writer *to, uint8_t byte)
{
    to->unit[to->held++] = byte;
    if (to->held < UNIT) return;
    to->failed |= flash_program(to->at, to->unit);
    to->at += UNIT;
    to->held = 0;
}

/* Fills the last unit up with what erased flash has. */
static int end(struct writer *to)
{
    while (to->held) put(to, 0xFF);
    return to->failed;
}

static int erase(int slot)
{
    int failed = 0;
    for (uint32_t at = 0; at < BLOCKWISE_SLOT_BYTES; at += BLOCKWISE_SECTOR_BYTES)
        failed |= flash_erase(place_of(slot) + at);
    return failed;
}

static int write_tensors(int slot)
{
    struct writer to;
    to.held = 0, to.failed = 0, to.at = place_of(slot) + TENSORS;
    for (int i = 0; i < BLOCKWISE_TENSORS; i++)
        for (uint32_t byte = 0; byte < blockwise_state[i].size; byte++) put(&to, blockwise_state[i].bytes[byte]);
    return end(&to);
}

static int write_header(int slot, const struct header *header)
{
    struct writer to;
    to.held = 0, to.failed = 0, to.at = place_of(slot);
    for (uint32_t byte = 0; byte < sizeof *header; byte++) put(&to, bytes_of(header)[byte]);
    return end(&to);
}

static uint32_t checksum_of(const struct header *header)
{
    uint32_t crc = crc_of(CRC32_START, bytes_of(header), COVERED);
    for (int i = 0; i < BLOCKWISE_TENSORS; i++)
        crc = crc_of(crc, blockwise_state[i].bytes, blockwise_state[i].size);
    return crc32_end(crc);
}

/* What was written is read again: worn flash is told, and does not count. */
static int write_slot(int slot, struct header *header)
{
    const uint32_t wanted = header->checksum;
    if (erase(slot) || write_tensors(slot) || write_header(slot, header)) return -1;
    return is_whole(slot, header) && header->checksum == wanted ? 0 : -1;
}

int blockwise_save(void)
{
    struct header header;
    if (!newest.known) look(&header);
    const struct position here = blockwise_position();
    const int slot = newest.slot == 0;
    header = (struct header){FORMAT, BLOCKWISE_LAYOUT, newest.generation + 1, here.steps, here.phase, here.rate,
                             BLOCKWISE_STATE_BYTES, 0};
    header.checksum = checksum_of(&header);
    if (write_slot(slot, &header)) return -1;
    newest.slot = slot;
    newest.generation = header.generation;
    return 0;
}

/* The older slot first: cut between the two, or where the newer cannot be erased, the newer one still counts, and not
 * a training before it. What is left is looked up by the next save, which counts on from there. */
int blockwise_forget(void)
{
    struct header header;
    if (!newest.known) look(&header);
    const int older = newest.slot == 0;
    newest.known = 0;
    if (erase(older)) return -1;
    if (erase(!older)) return -1;
    newest.slot = NONE;
    newest.generation = 0;
    newest.known = 1;
    return 0;
}
