/* Files of the computer that watches a check: through semihosting on the target, plainly on the host. */
#ifndef BLOCKWISE_PORT_H
#define BLOCKWISE_PORT_H

#include <stdint.h>

/* A handle, or -1. */
int port_open(const char *name, int write);

/* The bytes that were read, fewer than count only at the end of the file. */
uint32_t port_read(int handle, uint8_t *to, uint32_t count);

/* 0 if all were written. */
int port_write(int handle, const uint8_t *from, uint32_t count);

void port_close(int handle);

/* Does not return. */
void port_exit(int code) __attribute__((noreturn));

#endif
