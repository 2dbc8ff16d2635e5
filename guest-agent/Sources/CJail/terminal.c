#include "room.h"

#include <termios.h>

// The pty comes from the container's own devpts, so that ttyname(3) and /dev/pts agree inside.
static int open_master(int root) {
    int path = room_open(root, "/dev/ptmx", ROOM_NOTHING);
    if (path < 0) return -1;
    struct stat status;
    int master = -1;
    if (fstat(path, &status) < 0) {
        master = -1;
    } else if (!S_ISCHR(status.st_mode) || status.st_rdev != makedev(5, 2)) {
        // Whatever an image put there, a file or another device: only the real multiplexer is opened.
        errno = ENODEV;
    } else {
        char name[32];
        master = open(room_fd_path(path, name), O_RDWR | O_NOCTTY | O_CLOEXEC);
    }
    room_close(path);
    return master;
}

// /dev/console is the terminal, as init systems and shells in containers expect.
static int mount_console(int root, int slave) {
    int target = room_open(root, "/dev/console", ROOM_FILE);
    if (target < 0) return -1;
    int result = room_bind_fd(slave, target, 0);
    room_close(target);
    return result;
}

int room_open_second_terminal(const struct cjail_plan *plan, int root, int *master, int *slave) {
    int unlocked = 0;
    *slave = -1;
    *master = open_master(root);
    if (*master < 0) return -1;
    if (ioctl(*master, TIOCSPTLCK, &unlocked) < 0) return -1;
    *slave = ioctl(*master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (*slave < 0) return -1;
    if (plan->rows && plan->columns) {
        struct winsize size = {.ws_row = plan->rows, .ws_col = plan->columns};
        if (ioctl(*master, TIOCSWINSZ, &size) < 0) return -1;
    }
    return 0;
}

int room_open_terminal(const struct cjail_plan *plan, int root, int *master, int *slave) {
    return room_open_second_terminal(plan, root, master, slave) < 0 ? -1 : mount_console(root, *slave);
}
