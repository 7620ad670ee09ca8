/* From power-on to main(): vectors, FPU, stack paint, statics.
 *
 * The linker script gives the symbols. Nothing here is the training: see step.c. */

#include <stdint.h>

#include "start.h"

#define STACK_PAINT 0xA5A5A5A5u /* what untouched stack holds, for blockwise_stack_bytes() */

extern uint32_t blockwise_data[], blockwise_data_end[], blockwise_data_load[];
extern uint32_t blockwise_bss[], blockwise_bss_end[];
extern uint32_t blockwise_stack[], blockwise_stack_end[];

extern int main(void);
void reset(void);

__attribute__((weak)) void blockwise_stopped(uint32_t pc) { (void)pc; }

/* Whatever stops the core stops it here, where a debugger finds it. */
static __attribute__((noreturn)) void stop(uint32_t pc) {
    blockwise_stopped(pc);
    for (;;) {
    }
}

/* ``frame`` is what the core stacked: r0-r3, r12, lr, pc, xPSR (Armv7-M reference manual, B1.5.6). */
__attribute__((used)) void blockwise_fault(const uint32_t *frame) { stop(frame[6]); }

/* Naked: a prologue would move the stack pointer away from the frame. */
static __attribute__((naked)) void fault(void) { __asm__ volatile("mov r0, sp\n\tbl blockwise_fault"); }

__attribute__((section(".vectors"), used)) static const uintptr_t vectors[16] = {
    (uintptr_t)blockwise_stack_end, (uintptr_t)reset, (uintptr_t)fault, (uintptr_t)fault,
    (uintptr_t)fault, (uintptr_t)fault, (uintptr_t)fault, (uintptr_t)fault,
    (uintptr_t)fault, (uintptr_t)fault, (uintptr_t)fault, (uintptr_t)fault,
    (uintptr_t)fault, (uintptr_t)fault, (uintptr_t)fault, (uintptr_t)fault,
};

/* Full access to coprocessors 10 and 11, the FPU and MVE, before any of their instructions
 * (Armv7-M and Armv8-M architecture reference manuals: CPACR, 0xE000ED88). */
static inline void enable_fpu(void) {
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
    *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20;
    __asm__ volatile("dsb\n\tisb" ::: "memory");
#endif
}

/* Words are volatile: a compiler must not make calls of memset or memcpy of these loops. */
static inline void fill(volatile uint32_t *from, const uint32_t *end, uint32_t word) {
    while (from < end) {
        *from++ = word;
    }
}

/* Paints below its own frame, which is at the top. */
static inline void paint_stack(void) {
    uint32_t *here;
    __asm__ volatile("mov %0, sp" : "=r"(here));
    fill(blockwise_stack, here, STACK_PAINT);
}

static inline void load_statics(void) {
    volatile uint32_t *to = blockwise_data;
    const uint32_t *from = blockwise_data_load;
    while (to < blockwise_data_end) {
        *to++ = *from++;
    }
    fill(blockwise_bss, blockwise_bss_end, 0);
}

uint32_t blockwise_stack_bytes(void) {
    const volatile uint32_t *word = blockwise_stack;
    while (word < blockwise_stack_end && *word == STACK_PAINT) {
        word++;
    }
    return (uint32_t)((uintptr_t)blockwise_stack_end - (uintptr_t)word);
}

void reset(void) {
    enable_fpu();
    paint_stack();
    load_statics();
    main();
    stop(0);
}
