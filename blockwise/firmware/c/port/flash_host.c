/* The flash of this computer: a file, so that a program that is ended goes on when it is started again. */
#include "blockwise.h"
#include "flash.h"

#include <stdio.h>
#include <string.h>

enum { BYTES = 2 * BLOCKWISE_SLOT_BYTES };

static FILE *opened(void)
{
    FILE *file = fopen("flash.bin", "r+b");
    if (file) return file;
    file = fopen("flash.bin", "w+b");
    for (long at = 0; file && at < BYTES; at++) fputc(0xFF, file);
    return file;
}

static int stored(uint32_t at, const uint8_t *from, uint32_t count)
{
    FILE *file = opened();
    if (!file) return -1;
    const int failed = fseek(file, (long)at, SEEK_SET) || fwrite(from, 1, count, file) != count;
    return fclose(file) || failed ? -1 : 0;
}

int flash_erase(uint32_t at)
{
    static uint8_t ones[BLOCKWISE_SECTOR_BYTES];
    memset(ones, 0xFF, sizeof ones);
    return stored(at, ones, sizeof ones);
}

/* A bit that is 0 stays 0 until its sector is erased. */
int flash_program(uint32_t at, const uint8_t *unit)
{
    uint8_t bits[BLOCKWISE_UNIT_BYTES];
    if (flash_read(at, bits, sizeof bits)) return -1;
    for (uint32_t i = 0; i < sizeof bits; i++) {
        if (unit[i] & ~bits[i]) return -1;
        bits[i] &= unit[i];
    }
    return stored(at, bits, sizeof bits);
}

int flash_read(uint32_t at, uint8_t *to, uint32_t count)
{
    FILE *file = opened();
    if (!file) return -1;
    const int failed = fseek(file, (long)at, SEEK_SET) || fread(to, 1, count, file) != count;
    return fclose(file) || failed ? -1 : 0;
}
