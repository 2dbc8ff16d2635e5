// accept-one: takes one connection of the socket that it was handed (sd_listen_fds(3)), and answers what came with "pong: "
// before it. With an argument it answers without end.
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int words, char **unused) {
    (void)unused;
    const char *count = getenv("LISTEN_FDS"), *pid = getenv("LISTEN_PID");
    if (!count || !pid || atoi(count) != 1 || atoi(pid) != getpid()) return 2;
    puts("listening");
    fflush(stdout);
    int connection = accept(3, NULL, NULL);
    if (connection < 0) {
        perror("accept");
        return 3;
    }
    char text[256];
    ssize_t got = read(connection, text, sizeof text - 1);
    if (got < 0) return 4;
    text[got] = 0;
    while (words > 1 && write(connection, text, sizeof text) > 0) {}
    dprintf(connection, "pong: %s", text);
    return 0;
}
