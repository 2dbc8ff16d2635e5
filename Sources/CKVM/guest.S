// The probe guest: 64-bit code for ring 0 that executes what a kernel executes and a crippled KVM cannot. Every stage
// leaves a result that depends on a seed of the host's, and the sum of all goes out by a port at the end: nothing can
// be left out. expect.c knows the results. Every address here is either relative or a constant of layout.h.
#include "layout.h"

    .hidden ckvm_guest_begin, ckvm_guest_end, ckvm_guest_endless, ckvm_guest_stubs, ckvm_guest_loop
    .hidden ckvm_guest_stages, ckvm_guest_stages_end

    .set stage_index, -1

// Begins a stage: an entry of the table, and the stage's number where the host finds it when the guest hangs.
.macro STAGE label:req, name:req
    .set stage_index, stage_index + 1
\label:
    .pushsection .rodata.ckvm_stages, "a", @progbits
    .long \label - ckvm_guest_begin
    .asciz "\name"
    .balign 32
    .popsection
    movq $stage_index, PROBE_STAGE
.endm

// Ends a stage: its result is in rax.
.macro RESULT
    movq %rax, PROBE_RESULTS + stage_index * 8
    rolq $7, %r15
    xorq %rax, %r15
.endm

.macro UNLESS feature:req, target:req
    testl $\feature, %r14d
    jz \target
.endm

    .pushsection .rodata.ckvm_stages, "a", @progbits
    .balign 32
    .globl ckvm_guest_stages
ckvm_guest_stages:
    .popsection

    .section .text.ckvm_guest, "ax", @progbits
    .balign 64
    .globl ckvm_guest_begin
ckvm_guest_begin:

// r12: the seed. r14: the features. r15: the sum of the results.
STAGE .Lentry, "the first instruction"
    movq PROBE_FEATURES, %r14
    movq PROBE_SEED, %r12
    movq %r12, %r15
    leaq 1(%r12), %rax
    RESULT

STAGE .Lcpuid, "cpuid"
    xorl %eax, %eax
    xorl %ecx, %ecx
    cpuid
    movl %eax, %eax
    RESULT

// The handler is .Lbreakpoint.
STAGE .Lint3, "int3"
    movq %r12, %rdi
    xorl %eax, %eax
    int3
    RESULT

STAGE .Lpopcnt, "popcnt"
    UNLESS PROBE_HAS_POPCNT, .Lcx16
    popcntq %r12, %rax
    RESULT

STAGE .Lcx16, "cmpxchg16b"
    UNLESS PROBE_HAS_CX16, .Lclac
    movq %r12, %rax
    movq %r12, %rdx
    notq %rdx
    movq %rax, PROBE_SCRATCH
    movq %rdx, PROBE_SCRATCH + 8
    leaq 1(%r12), %rbx
    leaq 2(%r12), %rcx
    lock cmpxchg16b PROBE_SCRATCH
    sete %al
    movzbl %al, %eax
    addq PROBE_SCRATCH, %rax
    shlq $1, %rax
    addq PROBE_SCRATCH + 8, %rax
    RESULT

// Bit 18 of the flags is AC: 1 after stac, 0 after clac, so that the result is 2.
STAGE .Lclac, "clac"
    UNLESS PROBE_HAS_SMAP, .Lfwait
    stac
    pushfq
    popq %rax
    clac
    pushfq
    popq %rcx
    shrq $18, %rax
    shrq $18, %rcx
    andl $1, %eax
    andl $1, %ecx
    shll $1, %eax
    orl %ecx, %eax
    RESULT

STAGE .Lfwait, "fwait"
    fninit
    fildll PROBE_SEED
    fld1
    faddp
    fwait
    fistpll PROBE_SCRATCH
    fwait
    movq PROBE_SCRATCH, %rax
    RESULT

STAGE .Lfxrstor, "fxrstor64"
    movq %r12, %xmm0
    fxsave64 PROBE_FXSAVE
    pxor %xmm0, %xmm0
    fxrstor64 PROBE_FXSAVE
    movq %xmm0, %rax
    RESULT

STAGE .Lxsetbv, "xsetbv"
    UNLESS PROBE_HAS_XSAVE, .Lrdtscp
    xorl %ecx, %ecx
    xorl %edx, %edx
    movl $PROBE_XCR0, %eax
    xsetbv
    xgetbv
    movl %eax, %eax
    RESULT

STAGE .Lxrstor, "xrstor64"
    movq %r12, %rax
    notq %rax
    movq %rax, %xmm0
    movl $PROBE_XCR0, %eax
    xorl %edx, %edx
    xsave64 PROBE_XSAVE
    pxor %xmm0, %xmm0
    xrstor64 PROBE_XSAVE
    movq %xmm0, %rax
    RESULT

// What is written to IA32_TSC_AUX comes back in ecx.
STAGE .Lrdtscp, "rdtscp"
    UNLESS PROBE_HAS_RDTSCP, .Lwrmsr
    movl $0xc0000103, %ecx
    movl %r12d, %eax
    xorl %edx, %edx
    wrmsr
    rdtscp
    movl %ecx, %eax
    RESULT

// IA32_LSTAR; the seed has less than 47 bits, so it is an address.
STAGE .Lwrmsr, "wrmsr"
    movl $0xc0000082, %ecx
    movl %r12d, %eax
    movq %r12, %rdx
    shrq $32, %rdx
    wrmsr
    xorl %eax, %eax
    xorl %edx, %edx
    rdmsr
    shlq $32, %rdx
    orq %rdx, %rax
    RESULT

STAGE .Linvlpg, "invlpg"
    movq PROBE_WINDOW, %rax
    movq $(PROBE_PAGE_B | 3), PROBE_WINDOW_ENTRY
    invlpg PROBE_WINDOW
    rolq $8, %rax
    xorq PROBE_WINDOW, %rax
    RESULT

// The host puts the number of times round before each round, and 0 when it has seen enough. It takes the time.
STAGE .Lspeed, "the speed loop"
    xorl %ebx, %ebx
1:  movq PROBE_COUNT, %rdi
    testq %rdi, %rdi
    jz 2f
    movl $PROBE_SCRATCH, %esi
    outl %eax, $PROBE_PORT_BEGIN
    call .Lloop
    movq %rax, %rbx
    outl %eax, $PROBE_PORT_END
    jmp 1b
2:  movq %rbx, %rax
    RESULT

STAGE .Lreport, "out"
    movq %r15, %rax
    outl %eax, $PROBE_PORT_LOW
    shrq $32, %rax
    outl %eax, $PROBE_PORT_HIGH
.Lhalt:
    hlt
    jmp .Lhalt

// Not in the way of the others: the test of the deadline starts here.
    .globl ckvm_guest_endless
STAGE ckvm_guest_endless, "an endless loop"
    jmp .

    .pushsection .rodata.ckvm_stages, "a", @progbits
    .globl ckvm_guest_stages_end
ckvm_guest_stages_end:
    .popsection

.Lbreakpoint:
    leaq 0x55(%rdi), %rax
    iretq

// A handler each for the processor's exceptions: tells the vector to the host and stays there.
    .globl ckvm_guest_stubs
    .balign 8
ckvm_guest_stubs:
    .set vector, 0
    .rept PROBE_VECTORS
    .balign PROBE_STUB_SIZE
    .if vector == 3
    jmp .Lbreakpoint
    .else
    pushq $vector
    jmp .Lfault
    .endif
    .set vector, vector + 1
    .endr
    .balign PROBE_STUB_SIZE
.Lfault:
    popq %rax
    outl %eax, $PROBE_PORT_FAULT
    jmp .Lhalt

// uint64_t ckvm_guest_loop(uint64_t count, uint64_t scratch[2]): seven instructions a time round; for both sides.
    .globl ckvm_guest_loop
    .balign 64
ckvm_guest_loop:
.Lloop:
    movq %rdi, %rcx
    movl $1, %eax
    movq %rdi, (%rsi)
1:  addq (%rsi), %rax
    movq %rax, 8(%rsi)
    xorq %rcx, %rax
    rorq $5, %rax
    leaq 3(%rax), %rax
    decq %rcx
    jnz 1b
    ret

    .globl ckvm_guest_end
ckvm_guest_end:

    .section .note.GNU-stack, "", @progbits
