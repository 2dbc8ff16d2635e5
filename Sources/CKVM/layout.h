// Where things are in the probe guest's memory; for the assembler and for C. Guest-physical and virtual addresses are
// the same, but for PROBE_WINDOW.
#ifndef CKVM_LAYOUT_H
#define CKVM_LAYOUT_H

#define PROBE_MEMORY 0xd000

#define PROBE_PML4 0x1000
#define PROBE_PDPT 0x2000
#define PROBE_PD 0x3000
#define PROBE_PT 0x4000
// GDT at the page's start, TSS and IDT behind it.
#define PROBE_GDT 0x5000
#define PROBE_TSS 0x5100
#define PROBE_IDT 0x5800
#define PROBE_VARS 0x6000
// fxsave and xsave each write up to 576 bytes here.
#define PROBE_FXSAVE 0x7000
#define PROBE_XSAVE 0x7800
#define PROBE_CODE 0x8000
#define PROBE_STACK_TOP 0xb000
// Two pages with known contents, one after the other mapped at PROBE_WINDOW, which is page PROBE_WINDOW / 4096.
#define PROBE_PAGE_A 0xb000
#define PROBE_PAGE_B 0xc000
#define PROBE_WINDOW 0x10000
#define PROBE_WINDOW_ENTRY (PROBE_PT + (PROBE_WINDOW >> 12) * 8)

// In PROBE_VARS, eight bytes each. The host writes seed, features and count; the guest the others.
#define PROBE_STAGE (PROBE_VARS + 0)
#define PROBE_SEED (PROBE_VARS + 8)
#define PROBE_FEATURES (PROBE_VARS + 16)
#define PROBE_COUNT (PROBE_VARS + 24)
#define PROBE_SCRATCH (PROBE_VARS + 32) // 32 bytes, aligned to 16
#define PROBE_RESULTS (PROBE_VARS + 256)
#define PROBE_MOST_STAGES 32

// Bits of PROBE_FEATURES: what CPUID promises. A guest kernel runs the instruction only then, and so does the probe.
#define PROBE_HAS_POPCNT 1
#define PROBE_HAS_CX16 2
#define PROBE_HAS_SMAP 4
#define PROBE_HAS_XSAVE 8
#define PROBE_HAS_RDTSCP 16

// x87 and SSE.
#define PROBE_XCR0 3

// Ports.
#define PROBE_PORT_BEGIN 0xf1
#define PROBE_PORT_END 0xf2
#define PROBE_PORT_FAULT 0xf3
#define PROBE_PORT_LOW 0xf4
#define PROBE_PORT_HIGH 0xf5

#define PROBE_STUB_SIZE 8
#define PROBE_VECTORS 32

#endif
