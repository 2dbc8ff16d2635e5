// libseccomp for Swift, which can't import its macros and its variadic functions. A filter is compiled on the host and
// loaded in the guest: nothing here ever filters the calling process.
#ifndef CSECCOMP_H
#define CSECCOMP_H

#include <stddef.h>
#include <stdint.h>

enum cseccomp_action {
    CSECCOMP_KILL_THREAD = 0,
    CSECCOMP_KILL_PROCESS,
    CSECCOMP_TRAP,
    CSECCOMP_ERRNO,
    CSECCOMP_TRACE,
    CSECCOMP_ALLOW,
    CSECCOMP_LOG,
};

struct cseccomp_condition {
    unsigned argument; // 0 to 5
    unsigned compare;  // 1 NE, 2 LT, 3 LE, 4 EQ, 5 GE, 6 GT, 7 MASKED_EQ: libseccomp's own numbers
    uint64_t a;        // the value; of MASKED_EQ the mask
    uint64_t b;        // of MASKED_EQ the value
};

// All of these return 0 or a negative errno, where nothing else is said.
// A new filter; `data` is the error number of ERRNO, the message of TRACE. NULL: no memory, or a bad action.
void *cseccomp_new(unsigned action, unsigned data);
void cseccomp_free(void *filter);
// The token of an architecture by libseccomp's name for it ("x86_64"); 0: unknown.
uint32_t cseccomp_architecture(const char *name);
int cseccomp_add_architecture(void *filter, uint32_t token);
// The number of a system call of this machine; a negative one below -1 is libseccomp's for one that only others have;
// -1: unknown.
int cseccomp_call(const char *name);
// The same of another architecture.
int cseccomp_call_of(uint32_t architecture, const char *name);
int cseccomp_add_rule(
    void *filter, unsigned action, unsigned data, int call, const struct cseccomp_condition *conditions,
    unsigned count);
// The program as the kernel takes it (struct sock_filter each), to a descriptor.
int cseccomp_export(void *filter, int descriptor);

#endif
