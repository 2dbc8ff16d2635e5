// The least that a guest can do: the kernel starts this as its first process, and it ends the machine.
// What the benchmark measures with it is the floor: QEMU, the kernel's boot, and the way out.
//
// reboot=t on the command line makes of this reboot a triple fault, at which QEMU (-no-reboot) exits.

#include <sys/reboot.h>
#include <unistd.h>

int main(void) {
    // Something to see, so that a boot that went wrong can't be taken for a fast one.
    static const char word[] = "floor\n";
    if (write(STDOUT_FILENO, word, sizeof word - 1) < 0) {
        return 1; // No /dev/console: the kernel panics, which is an exit too, but without the word.
    }
    reboot(RB_AUTOBOOT);
    return 1;
}
