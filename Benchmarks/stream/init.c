// The guest of the throughput floor: connects to the host (cid 2, port 5000), writes as many MiB as the kernel's command
// line says (stream_mib=N reaches init as environment), and powers off.
#include <linux/vm_sockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <unistd.h>

static void end(const char *word) {
    if (word) perror(word);
    sync();
    reboot(RB_AUTOBOOT);
    _exit(1);
}

int main(void) {
    static char block[64 << 10];
    const char *asked = getenv("stream_mib");
    long blocks = (asked ? atol(asked) : 64) * 16;
    struct sockaddr_vm host = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST, .svm_port = 5000};
    int fd = socket(AF_VSOCK, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&host, sizeof host) < 0) end("connect");
    for (long i = 0; i < blocks; i++) {
        size_t done = 0;
        while (done < sizeof block) {
            ssize_t count = write(fd, block + done, sizeof block - done);
            if (count < 0) end("write");
            done += (size_t)count;
        }
    }
    shutdown(fd, SHUT_WR);
    char byte;
    if (read(fd, &byte, 1) < 0) perror("read");
    end(NULL);
}
