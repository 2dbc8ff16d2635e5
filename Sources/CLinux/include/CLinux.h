// What Swift can't call on Linux: variadic functions, function-like macros, and structs whose layout
// hides in headers that Glibc's module map leaves out. Every function returns -1 and sets errno, as its system call.
#ifndef CLINUX_H
#define CLINUX_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <sys/statfs.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "clinux_atomics.h"

// open, openat and fcntl are variadic.
int clinux_open(const char *path, int flags, mode_t mode);
int clinux_openat(int directory, const char *path, int flags, mode_t mode);
// openat2(2): no wrapper in glibc 2.36.
int clinux_openat2(int directory, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve);
// F_SETPIPE_SZ, a GNU extension.
int clinux_set_pipe_bytes(int fd, int bytes);
int clinux_fcntl(int fd, int command, int argument);

// ioctl is variadic; one name for each kind of argument.
int clinux_ioctl_int(int fd, unsigned long request, int value);
int clinux_ioctl_ptr(int fd, unsigned long request, void *pointer);
int clinux_get_window_size(int fd, uint16_t *rows, uint16_t *columns);
int clinux_set_window_size(int fd, uint16_t rows, uint16_t columns);
int clinux_set_controlling_terminal(int fd);
// TIOCSPTLCK and TIOCGPTN: makes the slave of a master usable and gives its number.
int clinux_unlock_pty(int master, int *number);

// pidfd_open(2), pidfd_send_signal(2), waitid(P_PIDFD): no wrappers in glibc 2.35 and before.
int clinux_pidfd_open(pid_t pid, unsigned int flags);
int clinux_pidfd_send_signal(int pidfd, int signal);
int clinux_memfd_create(const char *name, unsigned int flags);
int clinux_gettid(void);
// Processors of the thread's affinity mask; -1 with errno.
int clinux_processors(void);
int clinux_prctl(int option, unsigned long argument);
// capset(2) to nothing, and the ambient and bounding sets as far as allowed: no wrappers in glibc.
int clinux_drop_capabilities(void);
// Unmaps the pages of all code and constants (the program's and its libraries'); what is used is mapped again from the
// page cache when it is touched.
void clinux_release_code_pages(void);
// getrlimit(2) and setrlimit(2) of RLIMIT_NOFILE: the resource's type differs between C and C++ headers.
int clinux_get_descriptor_limit(struct rlimit *limit);
int clinux_set_descriptor_limit(const struct rlimit *limit);
// Lifts what limits the size of files and of memory and the processor time, as far as this process may.
void clinux_raise_limits(void);
int clinux_close_range(unsigned int first, unsigned int last, unsigned int flags);
int clinux_getrandom(void *buffer, size_t length);

// The macros of wait(2).
int clinux_exited(int status);
int clinux_exit_status(int status);
int clinux_signaled(int status);
int clinux_term_signal(int status);

// A real-time signal number (SIGRTMIN and SIGRTMAX are function calls in glibc).
int clinux_sigrtmin(void);
int clinux_sigrtmax(void);

// AF_VSOCK: sockaddr_vm is in a kernel header.
int clinux_vsock_listen(uint32_t port, int backlog);
int clinux_vsock_connect(uint32_t cid, uint32_t port);
int clinux_vsock_peer(int fd, uint32_t *cid, uint32_t *port);

// AF_UNIX: sun_path is a tuple in Swift. A path longer than sun_path is ENAMETOOLONG.
int clinux_unix_bind(int fd, const char *path);
int clinux_unix_connect(int fd, const char *path);

// One message with descriptors (SCM_RIGHTS): the CMSG macros. flags: as sendmsg(2).
ssize_t clinux_send_fds(int socket, const void *bytes, size_t length, const int *fds, size_t count, int flags);
// *count: in the room in fds, out how many came. Descriptors that did not fit are closed and *truncated is set.
ssize_t clinux_receive_fds(int socket, void *bytes, size_t length, int *fds, size_t *count, int *truncated, int flags);

int clinux_errno(void);
// strerror into the caller's buffer, the same text in every locale.
const char *clinux_strerror(int code);

// The guest's set-up.
int clinux_add_entropy(int fd, const void *bytes, size_t length);
int clinux_loopback_up(void);
// Loads a program of BPF_PROG_TYPE_CGROUP_DEVICE and attaches it to a cgroup v2 directory.
int clinux_filter_devices(int cgroup, const void *instructions, unsigned count);

// Accepts one connection: accept4(2) needs _GNU_SOURCE, which Swift does not import headers with.
int clinux_accept(int listener, int flags);
// pwritev2(2) with RWF_APPEND: to the end of the file, whatever the descriptor's own offset and flags.
ssize_t clinux_append(int fd, const struct iovec *parts, int count);
int clinux_allocate(int fd, int mode, off_t offset, off_t length);
int clinux_ignore_signal(int signal);
int clinux_default_signal(int number);
int clinux_pipe(int *ends, int flags);

enum { CLINUX_O_PATH = 010000000, CLINUX_O_TMPFILE = 020200000 };

extern char **environ;

#endif
