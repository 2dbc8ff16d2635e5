// record-signals [COUNT]: prints "NAME got N" for each signal it gets, KILL and STOP left out, which nobody can get. NAME
// is "first", and "second" and so on for the children, each a child of the one before it, of COUNT processes in all.
//
// All signals are blocked and waited for with bare system calls: glibc keeps 32 and 33 to itself.
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv) {
    static const char *const names[] = {"first", "second", "third"};
    const uint64_t all = ~UINT64_C(0);
    int count = argc > 1 ? atoi(argv[1]) : 1;
    if (syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, sizeof all) != 0) return 1;
    int own = 0;
    while (own + 1 < count && own < 2 && fork() == 0) own++;
    dprintf(1, "%s ready\n", names[own]);
    for (;;) {
        siginfo_t info;
        if (syscall(SYS_rt_sigtimedwait, &all, &info, NULL, sizeof all) < 0) continue;
        dprintf(1, "%s got %d.\n", names[own], info.si_signo);
    }
}
