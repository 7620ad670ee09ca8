/* The files of a check through semihosting: a debugger or an emulator serves them. */
#include "port.h"
#include "semihosting.h"
#include "start.h"

enum { SYS_OPEN = 0x01, SYS_CLOSE = 0x02, SYS_WRITE = 0x05, SYS_READ = 0x06, SYS_EXIT_EXTENDED = 0x20 };
enum { READ_BINARY = 1, WRITE_BINARY = 5, APPLICATION_EXIT = 0x20026, STOPPED = 70 };

static uint32_t length_of(const char *text) {
    uint32_t length = 0;
    while (text[length]) length++;
    return length;
}

int port_open(const char *name, int write) {
    const uint32_t block[3] = {word_of(name), write ? WRITE_BINARY : READ_BINARY, length_of(name)};
    return (int)semihosted(SYS_OPEN, block);
}

uint32_t port_read(int handle, uint8_t *to, uint32_t count) {
    const uint32_t block[3] = {(uint32_t)handle, word_of(to), count};
    return count - semihosted(SYS_READ, block); /* which answers how many bytes were not there */
}

int port_write(int handle, const uint8_t *from, uint32_t count) {
    const uint32_t block[3] = {(uint32_t)handle, word_of(from), count};
    return semihosted(SYS_WRITE, block) ? -1 : 0;
}

void port_close(int handle) {
    const uint32_t block[1] = {(uint32_t)handle};
    semihosted(SYS_CLOSE, block);
}

static __attribute__((noreturn)) void leave(int code) {
    const uint32_t block[2] = {APPLICATION_EXIT, (uint32_t)code};
    semihosted(SYS_EXIT_EXTENDED, block);
    for (;;) {
    }
}

static void leave_behind(const char *name, uint32_t word) {
    const int out = port_open(name, 1);
    port_write(out, (const uint8_t *)&word, sizeof word);
    port_close(out);
}

/* Leaves behind how much stack there was. */
void port_exit(int code) {
    leave_behind("stack.out", blockwise_stack_bytes());
    leave(code);
}

/* A fault ends the check, too, and leaves behind where it was. */
void blockwise_stopped(uint32_t pc) {
    leave_behind("fault.out", pc);
    leave(STOPPED);
}
