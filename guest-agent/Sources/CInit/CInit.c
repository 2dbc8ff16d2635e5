#include "CInit.h"

#include <ctype.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

// The Swift runtime's own start-up reads /proc/self/exe and dies without it. Entries of .preinit_array run before
// every constructor, so that the first process of the guest needs no help from the kernel's command line.
static void mount_proc(void) {
    // Whose image has a script for /proc/self/exe gets to run us; there we are nobody's agent.
    if (getpid() != 1) _exit(126);
    mkdir("/proc", 0555);
    // A failure shows at the next step.
    (void)!mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
    // The first pid namespace has a number that is always the same (PROC_PID_INIT_INO); a container's init is 1 as well.
    struct stat namespace;
    if (stat("/proc/self/ns/pid", &namespace) < 0 || namespace.st_ino != 0xEFFFFFFCu) _exit(126);
}

__attribute__((section(".preinit_array"), used)) static void (*const before_all)(void) = mount_proc;

void cinit_settle(void) {
    // Every portion that a relay reads is allocated and freed: the heap's end must not go to the kernel and come
    // back, page fault by page fault, each time.
    mallopt(M_TRIM_THRESHOLD, 1 << 20);
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
}

// Embedded Swift's Double.init(_: String) wants this of its surroundings. Weak: the full runtime brings its own.
__attribute__((weak)) const char *_swift_stdlib_strtod_clocale(const char *text, double *result) {
    if (isspace((unsigned char)*text)) return NULL;
    char *end;
    // A static program that never calls setlocale is in the C locale.
    *result = strtod(text, &end);
    return end;
}
