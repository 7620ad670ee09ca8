/* The flash of a check: the emulator's, which is written through calls of its own.
 *
 * Semihosting leaves numbers from 0x100 on to applications. An erase or a programming takes as long as it is
 * busy: every question is a bit of its time, so that the power can go in its middle. */
#include "blockwise.h"
#include "flash.h"
#include "semihosting.h"

enum { FLASH_ERASE = 0x100, FLASH_PROGRAM = 0x101, FLASH_BUSY = 0x102 };

/* Of the linker script: the first byte of the first slot. */
extern const uint8_t blockwise_slots[];

/* The answer to the call that begins; then until it is done. */
static int wait(uint32_t refused)
{
    if (refused) return -1;
    while (semihosted(FLASH_BUSY, 0)) {
    }
    return 0;
}

int flash_erase(uint32_t at)
{
    const uint32_t block[1] = {word_of(blockwise_slots + at)};
    return wait(semihosted(FLASH_ERASE, block));
}

int flash_program(uint32_t at, const uint8_t *unit)
{
    const uint32_t block[3] = {word_of(blockwise_slots + at), word_of(unit), BLOCKWISE_UNIT_BYTES};
    return wait(semihosted(FLASH_PROGRAM, block));
}

int flash_read(uint32_t at, uint8_t *to, uint32_t count)
{
    const volatile uint8_t *from = blockwise_slots + at;
    while (count--) *to++ = *from++;
    return 0;
}
