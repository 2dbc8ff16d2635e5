// System calls on files of which Swift can't make use directly: without a wrapper in glibc, variadic, with a structure
// that its headers show only with _GNU_SOURCE, or by way of a path in /proc. Every function returns -1 and sets errno,
// as its system call. All take a directory's descriptor and one name in it, or a descriptor alone.
#ifndef CFILECALLS_H
#define CFILECALLS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct cfile_time {
    int64_t seconds;
    uint32_t nanoseconds;
};

// What statx(2) says, without what nobody here asks for.
struct cfile_status {
    uint64_t inode, size, blocks, device, mount;
    uint32_t mode, links, uid, gid, block_size;
    uint32_t device_major, device_minor, special_major, special_minor;
    struct cfile_time accessed, modified, changed, born;
};

// Of `name` in `directory`, symlinks not followed; of the descriptor itself with an empty name.
int cfile_status(int directory, const char *name, struct cfile_status *status);

enum {
    CFILE_O_PATH = 010000000,
    CFILE_O_NOFOLLOW = 0400000,
    CFILE_O_TMPFILE = 020200000,
    CFILE_RENAME_NOREPLACE = 1,
    CFILE_RENAME_EXCHANGE = 2,
    CFILE_HANDLE_BYTES = 128,
};

// openat2(2) of one name, beneath the directory, no symlink followed, no magic link, closed on exec.
int cfile_open(int directory, const char *name, uint64_t flags, uint32_t mode);
// Opens again what an O_PATH descriptor stands for. The caller has made sure of what that is.
int cfile_reopen(int fd, int flags);
// name_to_handle_at(2) of the descriptor; *count: in the room in bytes, out how many were written.
int cfile_handle(int fd, int *type, unsigned char *bytes, unsigned int *count);
int cfile_open_handle(int mount, int type, const unsigned char *bytes, unsigned int count, int flags);

ssize_t cfile_read_link(int fd, void *buffer, size_t room);
int cfile_rename(int from, const char *old_name, int to, const char *new_name, unsigned int flags);
int cfile_link(int fd, int directory, const char *name);
// Of an O_PATH descriptor; a symlink's mode can't be changed (EOPNOTSUPP).
int cfile_set_mode(int fd, uint32_t mode);
int cfile_set_owner(int fd, uint32_t uid, uint32_t gid);
// Nanoseconds may be UTIME_NOW or UTIME_OMIT.
int cfile_set_times(int fd, struct cfile_time accessed, struct cfile_time modified);
ssize_t cfile_read_directory(int fd, void *buffer, size_t room);

// Extended attributes of what an O_PATH descriptor stands for. For a symlink also its directory and name, since it has
// no path in /proc of its own.
struct cfile_place {
    int fd;
    // -1 if it is no symlink.
    int directory;
    const char *name;
};
ssize_t cfile_get_attribute(struct cfile_place place, const char *attribute, void *value, size_t room);
int cfile_set_attribute(
    struct cfile_place place, const char *attribute, const void *value, size_t count, int flags);
ssize_t cfile_list_attributes(struct cfile_place place, void *names, size_t room);
int cfile_remove_attribute(struct cfile_place place, const char *attribute);

int cfile_allocate(int fd, int mode, uint64_t offset, uint64_t length);
ssize_t cfile_copy_range(int from, int64_t *from_offset, int to, int64_t *to_offset, size_t count);
int64_t cfile_seek(int fd, int64_t offset, int whence);
int cfile_sync_file_system(int fd);

struct cfile_system_status {
    uint64_t blocks, free_blocks, available_blocks, files, free_files;
    uint32_t block_size, fragment_size, name_length;
};
int cfile_system_status(int fd, struct cfile_system_status *status);
// Whether the file is on a file system whose files the kernel makes when they are read, of no size that is known before.
int cfile_is_generated(int fd);

// Locks of an open file description (F_OFD_…). type: F_RDLCK, F_WRLCK, F_UNLCK. length 0: to the end.
struct cfile_lock {
    int64_t start, length;
    int type;
    int pid;
};
int cfile_lock_set(int fd, struct cfile_lock lock);
int cfile_lock_get(int fd, struct cfile_lock *lock);

// inotify(7): watches what a descriptor stands for (O_PATH); returns the watch's number.
int cfile_watch_init(void);
int cfile_watch(int inotify, int fd, uint32_t events);
int cfile_unwatch(int inotify, int watch);

// Of the calling thread alone.
int cfile_unshare_umask(void);
void cfile_set_creator(uint32_t uid, uint32_t gid);
// User ids don't change capabilities any more.
int cfile_keep_capabilities(void);
// Keeps what serving files needs, of the others none, in any set.
int cfile_limit_capabilities(void);
int cfile_set_fsetid(int on);

// A tree of its own: a copy of the mount at `path` that is in no mount table and ends with the descriptor.
// Where the kernel can't (before 5.12, or without CAP_SYS_ADMIN): -1.
// An overlay that is in no mount table: a context, its options (value NULL: a flag), the mount.
int cfile_overlay_begin(void);
int cfile_overlay_option(int context, const char *key, const char *value);
int cfile_overlay_end(int context);

// Has a detached tree's ids seen through maps, whose lines are those of /proc/PID/uid_map.
int cfile_map_ids(int mount, const char *uids, const char *gids, int recursive);

int cfile_detached_tree(const char *path, int recursive, int read_only);

#endif
