/* The files of a check on an ordinary computer. */
#include "port.h"

#include <stdio.h>
#include <stdlib.h>

static FILE *files[4];

int port_open(const char *name, int write)
{
    for (int handle = 0; handle < 4; ++handle)
        if (!files[handle]) {
            files[handle] = fopen(name, write ? "wb" : "rb");
            return files[handle] ? handle : -1;
        }
    return -1;
}

uint32_t port_read(int handle, uint8_t *to, uint32_t count)
{
    return (uint32_t)fread(to, 1, count, files[handle]);
}

int port_write(int handle, const uint8_t *from, uint32_t count)
{
    return fwrite(from, 1, count, files[handle]) == count ? 0 : -1;
}

void port_close(int handle)
{
    fclose(files[handle]);
    files[handle] = 0;
}

void port_exit(int code)
{
    exit(code);
}
