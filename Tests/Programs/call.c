// Makes a system call by its number, with the arguments that it is given, and says how it went.
//
//     call NUMBER [ARGUMENT…]

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int count, char **words) {
    unsigned long numbers[7] = {0};
    if (count < 2 || count > 8) return 2;
    for (int i = 1; i < count; i++) numbers[i - 1] = strtoul(words[i], NULL, 0);
    errno = 0;
    long result =
        syscall((long)numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5], numbers[6]);
    if (result == -1 && errno != 0) printf("errno %d\n", errno);
    else printf("ok\n");
    return 0;
}
