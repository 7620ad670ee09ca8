/* The flash of your part: fill in flash_erase and flash_program by its reference manual, as flash.h says.
 *
 * Until then nothing is kept: blockwise_save() returns -1. */
#include "blockwise.h"
#include "flash.h"

#ifndef BLOCKWISE_FLASH_FILLED_IN
#warning "flash_board.c: flash_erase and flash_program are still to be written for this part"
#endif

/* Of the linker script: the first byte of the first slot. */
extern const uint8_t blockwise_slots[];

/* Unlock the controller, erase the sector at blockwise_slots + at, wait until it is done, lock. */
int flash_erase(uint32_t at)
{
    (void)at;
    return -1;
}

/* Unlock, store BLOCKWISE_UNIT_BYTES at blockwise_slots + at in words of the width that the part wants, wait, lock. */
int flash_program(uint32_t at, const uint8_t *unit)
{
    (void)at, (void)unit;
    return -1;
}

/* On most parts flash is read like RAM. A data cache over it has to be invalidated behind an erase. */
int flash_read(uint32_t at, uint8_t *to, uint32_t count)
{
    const volatile uint8_t *from = blockwise_slots + at;
    while (count--) *to++ = *from++;
    return 0;
}
