/* The flash that keeps a training: three functions, which flash_board.c has for your part.
 *
 * It is NOR flash. Erasing a sector sets all its bits; programming only clears bits, so every unit is programmed
 * once after an erase, which parts with error correction (a checksum for each unit) demand anyway. Places are
 * bytes from the first slot on, whose address the linker script has: blockwise_slots. */
#ifndef BLOCKWISE_FLASH_H
#define BLOCKWISE_FLASH_H

#include <stdint.h>

/* Erase the sector of BLOCKWISE_SECTOR_BYTES that begins at ``at``. Returns 0 when it is done, or -1. */
int flash_erase(uint32_t at);

/* Program one unit of BLOCKWISE_UNIT_BYTES at ``at``, a multiple of that, from RAM; ``unit`` is aligned to 8
 * bytes. Returns 0 when it is done, or -1. Nothing may be read from a bank of flash that is being written, code
 * neither: if your part has only one, its core waits, or this function has to lie in RAM. */
int flash_program(uint32_t at, const uint8_t *unit);

/* Copy ``count`` bytes at ``at`` to RAM. Returns 0, or -1 where they cannot be read: a unit whose programming was
 * cut by a loss of power may have an error that cannot be corrected. If your part answers that with a fault or an
 * interrupt instead of data, it has to be caught here: the slot is then one that does not count. */
int flash_read(uint32_t at, uint8_t *to, uint32_t count);

#endif
