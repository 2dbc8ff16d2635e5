#include "CInit.h"

#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

// The Swift runtime's own start-up reads /proc/self/exe and dies without it. Entries of .preinit_array run before
// every constructor, so that the first process of the guest needs no help from the kernel's command line.
static void mount_proc(void) {
    if (getpid() != 1) return;
    mkdir("/proc", 0555);
    // A failure shows at the next step, in the agent's words.
    if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0) return;
}

__attribute__((section(".preinit_array"), used)) static void (*const before_all)(void) = mount_proc;

void cinit_linked(void) {}
