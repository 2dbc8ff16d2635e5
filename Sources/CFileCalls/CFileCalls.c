#include "CFileCalls.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/securebits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif

// MS_PRIVATE of sys/mount.h, which can't be included beside linux/mount.h.
enum { PATH_ROOM = 64, LONG_PATH_ROOM = 64 + 256, PRIVATE_PROPAGATION = 1 << 18 };

static void descriptor_path(int fd, char *path) { snprintf(path, PATH_ROOM, "/proc/self/fd/%d", fd); }

static struct cfile_time time_of(struct statx_timestamp time) {
    return (struct cfile_time){.seconds = time.tv_sec, .nanoseconds = time.tv_nsec};
}

int cfile_status(int directory, const char *name, struct cfile_status *status) {
    struct statx all;
    int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH;
    if (statx(directory, name, flags, STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID, &all) < 0) return -1;
    *status = (struct cfile_status){
        .inode = all.stx_ino,
        .size = all.stx_size,
        .blocks = all.stx_blocks,
        .device = (uint64_t)all.stx_dev_major << 32 | all.stx_dev_minor,
        .mount = all.stx_mask & STATX_MNT_ID ? all.stx_mnt_id : 0,
        .mode = all.stx_mode,
        .links = all.stx_nlink,
        .uid = all.stx_uid,
        .gid = all.stx_gid,
        .block_size = all.stx_blksize,
        .device_major = all.stx_dev_major,
        .device_minor = all.stx_dev_minor,
        .special_major = all.stx_rdev_major,
        .special_minor = all.stx_rdev_minor,
        .accessed = time_of(all.stx_atime),
        .modified = time_of(all.stx_mtime),
        .changed = time_of(all.stx_ctime),
        .born = time_of(all.stx_btime),
    };
    return 0;
}

int cfile_open(int directory, const char *name, uint64_t flags, uint32_t mode) {
    struct open_how how = {
        .flags = flags | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY,
        .mode = mode,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    if (flags & O_PATH) how.flags &= ~(uint64_t)O_NOCTTY;
    // The kernel asks for another try when the tree was renamed under its feet.
    for (int tries = 0; tries < 100; tries++) {
        int fd = (int)syscall(SYS_openat2, directory, name, &how, sizeof how);
        if (fd >= 0 || (errno != EAGAIN && errno != EINTR)) return fd;
    }
    return -1;
}

int cfile_reopen(int fd, int flags) {
    char path[PATH_ROOM];
    descriptor_path(fd, path);
    return open(path, flags | O_CLOEXEC | O_NOCTTY);
}

union handle {
    struct file_handle header;
    unsigned char room[sizeof(struct file_handle) + CFILE_HANDLE_BYTES];
};

int cfile_handle(int fd, int *type, unsigned char *bytes, unsigned int *count) {
    union handle handle;
    int mount;
    handle.header.handle_bytes = CFILE_HANDLE_BYTES;
    if (name_to_handle_at(fd, "", &handle.header, &mount, AT_EMPTY_PATH) < 0) return -1;
    if (handle.header.handle_bytes > *count) {
        errno = EOVERFLOW;
        return -1;
    }
    *type = handle.header.handle_type;
    *count = handle.header.handle_bytes;
    memcpy(bytes, handle.header.f_handle, *count);
    return 0;
}

int cfile_open_handle(int mount, int type, const unsigned char *bytes, unsigned int count, int flags) {
    union handle handle;
    if (count > CFILE_HANDLE_BYTES) {
        errno = EINVAL;
        return -1;
    }
    handle.header.handle_bytes = count;
    handle.header.handle_type = type;
    memcpy(handle.header.f_handle, bytes, count);
    return open_by_handle_at(mount, &handle.header, flags | O_CLOEXEC);
}

ssize_t cfile_read_link(int fd, void *buffer, size_t room) { return readlinkat(fd, "", buffer, room); }

int cfile_rename(int from, const char *old_name, int to, const char *new_name, unsigned int flags) {
    return renameat2(from, old_name, to, new_name, flags);
}

int cfile_link(int fd, int directory, const char *name) { return linkat(fd, "", directory, name, AT_EMPTY_PATH); }

int cfile_set_mode(int fd, uint32_t mode) {
    char path[PATH_ROOM];
    descriptor_path(fd, path);
    return chmod(path, mode);
}

int cfile_set_owner(int fd, uint32_t uid, uint32_t gid) { return fchownat(fd, "", uid, gid, AT_EMPTY_PATH); }

int cfile_set_times(int fd, struct cfile_time accessed, struct cfile_time modified) {
    struct timespec times[2] = {
        {.tv_sec = accessed.seconds, .tv_nsec = accessed.nanoseconds},
        {.tv_sec = modified.seconds, .tv_nsec = modified.nanoseconds},
    };
    return utimensat(fd, "", times, AT_EMPTY_PATH);
}

ssize_t cfile_read_directory(int fd, void *buffer, size_t room) { return getdents64(fd, buffer, room); }

// The path of a place, for the calls that know nothing else. A symlink is named by its directory, and the call then
// must not follow it.
static const char *place_path(struct cfile_place place, char *path) {
    if (place.directory < 0)
        descriptor_path(place.fd, path);
    else
        snprintf(path, LONG_PATH_ROOM, "/proc/self/fd/%d/%s", place.directory, place.name);
    return path;
}

ssize_t cfile_get_attribute(struct cfile_place place, const char *attribute, void *value, size_t room) {
    char path[LONG_PATH_ROOM];
    place_path(place, path);
    return place.directory < 0 ? getxattr(path, attribute, value, room) : lgetxattr(path, attribute, value, room);
}

int cfile_set_attribute(
    struct cfile_place place, const char *attribute, const void *value, size_t count, int flags) {
    char path[LONG_PATH_ROOM];
    place_path(place, path);
    return place.directory < 0 ? setxattr(path, attribute, value, count, flags)
                               : lsetxattr(path, attribute, value, count, flags);
}

ssize_t cfile_list_attributes(struct cfile_place place, void *names, size_t room) {
    char path[LONG_PATH_ROOM];
    place_path(place, path);
    return place.directory < 0 ? listxattr(path, names, room) : llistxattr(path, names, room);
}

int cfile_remove_attribute(struct cfile_place place, const char *attribute) {
    char path[LONG_PATH_ROOM];
    place_path(place, path);
    return place.directory < 0 ? removexattr(path, attribute) : lremovexattr(path, attribute);
}

int cfile_allocate(int fd, int mode, uint64_t offset, uint64_t length) {
    return fallocate(fd, mode, (off_t)offset, (off_t)length);
}

ssize_t cfile_copy_range(int from, int64_t *from_offset, int to, int64_t *to_offset, size_t count) {
    loff_t in = *from_offset, out = *to_offset;
    ssize_t copied = copy_file_range(from, &in, to, &out, count, 0);
    *from_offset = in;
    *to_offset = out;
    return copied;
}

int64_t cfile_seek(int fd, int64_t offset, int whence) { return lseek(fd, offset, whence); }

int cfile_sync_file_system(int fd) { return syncfs(fd); }

int cfile_system_status(int fd, struct cfile_system_status *status) {
    struct statfs all;
    if (fstatfs(fd, &all) < 0) return -1;
    *status = (struct cfile_system_status){
        .blocks = all.f_blocks,
        .free_blocks = all.f_bfree,
        .available_blocks = all.f_bavail,
        .files = all.f_files,
        .free_files = all.f_ffree,
        .block_size = (uint32_t)all.f_bsize,
        .fragment_size = (uint32_t)all.f_frsize,
        .name_length = (uint32_t)all.f_namelen,
    };
    return 0;
}

int cfile_is_generated(int fd) {
    struct statfs all;
    if (fstatfs(fd, &all) < 0) return 0;
    switch ((unsigned long)all.f_type) {
    case PROC_SUPER_MAGIC: case SYSFS_MAGIC: case CGROUP_SUPER_MAGIC: case CGROUP2_SUPER_MAGIC: case DEBUGFS_MAGIC:
    case TRACEFS_MAGIC: case SECURITYFS_MAGIC: case 0x62656570 /* configfs */: case 0x6165676C /* pstore */: return 1;
    default: return 0;
    }
}

int cfile_lock_set(int fd, struct cfile_lock lock) {
    struct flock all = {
        .l_type = (short)lock.type, .l_whence = SEEK_SET, .l_start = lock.start, .l_len = lock.length};
    return fcntl(fd, F_OFD_SETLK, &all);
}

int cfile_lock_get(int fd, struct cfile_lock *lock) {
    struct flock all = {
        .l_type = (short)lock->type, .l_whence = SEEK_SET, .l_start = lock->start, .l_len = lock->length};
    if (fcntl(fd, F_OFD_GETLK, &all) < 0) return -1;
    *lock = (struct cfile_lock){.start = all.l_start, .length = all.l_len, .type = all.l_type, .pid = all.l_pid};
    return 0;
}

int cfile_watch_init(void) { return inotify_init1(IN_NONBLOCK | IN_CLOEXEC); }

int cfile_watch(int inotify, int fd, uint32_t events) {
    char path[PATH_ROOM];
    descriptor_path(fd, path);
    return inotify_add_watch(inotify, path, events);
}

int cfile_unwatch(int inotify, int watch) { return inotify_rm_watch(inotify, watch); }

int cfile_unshare_umask(void) { return unshare(CLONE_FS); }

void cfile_set_creator(uint32_t uid, uint32_t gid) {
    setfsgid(gid);
    setfsuid(uid);
}

int cfile_keep_capabilities(void) { return prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0); }

enum { SETS = _LINUX_CAPABILITY_U32S_3 };

static const int wanted[] = {
    CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER, CAP_FSETID,
    CAP_SETGID, CAP_SETUID, CAP_MKNOD, CAP_SETFCAP,
};

static int set_capabilities(const uint32_t *effective, const uint32_t *permitted) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[SETS];
    for (int i = 0; i < SETS; i++)
        data[i] = (struct __user_cap_data_struct){.effective = effective[i], .permitted = permitted[i]};
    return (int)syscall(SYS_capset, &header, data);
}

static int get_capabilities(uint32_t *effective, uint32_t *permitted) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[SETS];
    if (syscall(SYS_capget, &header, data) < 0) return -1;
    for (int i = 0; i < SETS; i++) {
        effective[i] = data[i].effective;
        permitted[i] = data[i].permitted;
    }
    return 0;
}

int cfile_limit_capabilities(void) {
    uint32_t effective[SETS], permitted[SETS], kept[SETS] = {0};
    if (get_capabilities(effective, permitted) < 0) return -1;
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) kept[wanted[i] / 32] |= 1U << (wanted[i] % 32);
    for (int i = 0; i < SETS; i++) kept[i] &= permitted[i];
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    for (int capability = 0; capability <= CAP_LAST_CAP; capability++)
        if (!(kept[capability / 32] & 1U << (capability % 32))) prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
    return set_capabilities(kept, kept);
}

int cfile_set_fsetid(int on) {
    uint32_t effective[SETS], permitted[SETS];
    if (get_capabilities(effective, permitted) < 0) return -1;
    uint32_t bit = 1U << CAP_FSETID;
    effective[0] = on ? effective[0] | (permitted[0] & bit) : effective[0] & ~bit;
    return set_capabilities(effective, permitted);
}

int cfile_detached_tree(const char *path, int recursive, int read_only) {
    unsigned int flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0);
    int fd = (int)syscall(SYS_open_tree, AT_FDCWD, path, flags);
    if (fd < 0) return -1;
    struct mount_attr attributes = {
        .attr_set = MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC | (read_only ? MOUNT_ATTR_RDONLY : 0),
        // What the host mounts or unmounts there later stays out of it.
        .propagation = PRIVATE_PROPAGATION,
    };
    if (syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attributes,
                sizeof attributes) < 0) {
        int code = errno;
        close(fd);
        errno = code;
        return -1;
    }
    return fd;
}
