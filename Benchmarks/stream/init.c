// The guest of the vsock benchmark: connects to the host (cid 2, port 5000), does the job that the kernel's command line
// says (which reaches init as environment), and powers off. stream_job: out (write stream_count MiB), in (read as many,
// then write a byte), ping (send back stream_count bytes, one by one).
#include <linux/vm_sockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <unistd.h>

static char block[64 << 10];

static void end(const char *word) {
    if (word) perror(word);
    sync();
    reboot(RB_AUTOBOOT);
    _exit(1);
}

static void write_all(int fd, size_t count) {
    while (count > 0) {
        ssize_t done = write(fd, block, count < sizeof block ? count : sizeof block);
        if (done < 0) end("write");
        count -= (size_t)done;
    }
}

int main(void) {
    const char *asked = getenv("stream_count"), *job = getenv("stream_job");
    size_t count = (size_t)(asked ? atol(asked) : 64);
    struct sockaddr_vm host = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST, .svm_port = 5000};
    int fd = socket(AF_VSOCK, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&host, sizeof host) < 0) end("connect");
    if (job && !strcmp(job, "ping")) {
        for (size_t i = 0; i < count; i++)
            if (read(fd, block, 1) != 1 || write(fd, block, 1) != 1) end("ping");
    } else if (job && !strcmp(job, "in")) {
        for (size_t left = count << 20; left > 0;) {
            ssize_t done = read(fd, block, sizeof block);
            if (done <= 0) end("read");
            left -= (size_t)done;
        }
        block[0] = '!';
        write_all(fd, 1);
    } else {
        write_all(fd, count << 20);
    }
    shutdown(fd, SHUT_WR);
    char byte;
    if (read(fd, &byte, 1) < 0) perror("read");
    end(NULL);
}
