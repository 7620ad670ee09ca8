/* One kernel of sums on operands of its own, alone between two marks: benchmarks/firmware_kernels.py counts the
 * instructions of counted(). On QEMU's Cortex-M55 SysTick tells them, measured against a loop of known length. */
#include "kernels.h"
#include "counted.h" /* GEOMETRY, OPERANDS, KERNEL_CALL, and the bytes x, w, e and positions */

int32_t sums[SUMS]; /* with a name for all: what is stored is not thrown away */

static void keep(void *to, uint32_t index, int32_t sum)
{
    ((int32_t *)to)[index] = sum;
}

__attribute__((noinline)) void counted(void)
{
    static const struct geometry g = GEOMETRY;
    const struct integers inputs = {x, X_CODING}, weights = {w, W_CODING};
    const struct errors errors = {{e, INT8}, POSITIONS, 2, 2, 2};
    (void)inputs, (void)weights, (void)errors;
    KERNEL_CALL;
}

/* Two instructions a round. */
__attribute__((noinline)) void loop(uint32_t rounds)
{
    __asm__ volatile("1: subs %0, #1\n bne 1b" : "+r"(rounds)::"cc");
}

#if defined(SEMIHOSTED)
#define SYSTICK ((volatile uint32_t *)0xE000E010)
#define ROUNDS 1000000u

enum { SYS_OPEN = 1, SYS_WRITE = 5, SYS_EXIT_EXTENDED = 0x20, WRITE_BINARY = 5, STOPPED = 0x20026 };

static int call(int what, const void *arguments)
{
    register int number __asm__("r0") = what;
    register const void *with __asm__("r1") = arguments;
    __asm__ volatile("bkpt 0xAB" : "+r"(number) : "r"(with) : "memory");
    return number;
}

void reset(void)
{
    *(volatile uint32_t *)0xE000ED88 |= 0xFu << 20; /* CPACR: vectors */
    __asm__ volatile("dsb\n isb" ::: "memory");
    SYSTICK[1] = 0xFFFFFF;
    SYSTICK[2] = 0;
    SYSTICK[0] = 5;
    uint32_t start = SYSTICK[2];
    loop(ROUNDS);
    uint32_t known = SYSTICK[2];
    counted();
    const uint32_t ticks[] = {2 * ROUNDS, (start - known) & 0xFFFFFF, (known - SYSTICK[2]) & 0xFFFFFF};
    const uint32_t file[] = {(uint32_t)"ticks.bin", WRITE_BINARY, 9};
    const uint32_t made[] = {(uint32_t)call(SYS_OPEN, file), (uint32_t)ticks, sizeof ticks};
    call(SYS_WRITE, made);
    const uint32_t done[] = {STOPPED, 0};
    call(SYS_EXIT_EXTENDED, done);
    for (;;) {
    }
}

__attribute__((section(".vectors"), used)) const void *const vectors[] = {(void *)0x20008000, (void *)reset};
#endif

/* What compilers call where there is no libc. */
void *memset(void *to, int value, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ((volatile char *)to)[i] = (char)value;
    return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ((volatile char *)to)[i] = ((const char *)from)[i];
    return to;
}
