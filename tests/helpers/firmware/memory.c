/* What compilers call for copies and zeros, where there is no libc. */
#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        ((volatile char *)to)[i] = ((const char *)from)[i];
    }
    return to;
}

void *memset(void *to, int value, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        ((volatile char *)to)[i] = (char)value;
    }
    return to;
}
