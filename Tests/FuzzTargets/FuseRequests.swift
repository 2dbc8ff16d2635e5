/// The requests of FUSE (linux/fuse.h) as a kernel makes them, their fields from tables.
///
/// Written from the header, not from the device, so that what the device has misread shows.
enum FuseField {
    /// One of these, usually.
    case u32([UInt32])
    case u64([UInt64])
    /// Of an inode or an open file that an answer named.
    case node
    case handle
    /// With the NUL behind it.
    case name
    /// Bytes of a file, or of an attribute.
    case data
    /// Of a device node: of no other, for whoever runs this is root and a device that is opened does something.
    case nullDevice
    /// The length of the data behind, of the first kind of field that has one.
    case size
}

enum FuseRequests {
    private static let zero = FuseField.u32([0])
    private static let sizes: [UInt32] = [4096, 0, 1, 128, 65536]
    private static let offsets: [UInt64] = [0, 1, 4096, 5000]
    private static let flags: [UInt32] = [0, 1, 2, 0o1000, 0o2000 | 1, 0o100 | 2, 0o200000]
    private static let modes: [UInt32] = [0o100644, 0o40755, 0o10644, 0o20644, 0o60644, 0o140644, 0o120777, 0o104755]
    private static let owners: [UInt32] = [0, 1000, .max]

    private static let lock: [FuseField] = [
        .handle, .u64([1, 2]), .u64([0, 5]), .u64([9, 1 << 63 - 1]), .u32([0, 1, 2]), .u32([7]), .u32([0, 1]), zero,
    ]

    static let layouts: [(opcode: UInt32, fields: [FuseField])] = [
        (1, [.name]),  // LOOKUP
        (1, [.name]),
        (2, [.u64([1, 0, 2])]),  // FORGET
        (3, [.u32([0, 1]), zero, .handle]),  // GETATTR
        (
            4,  // SETATTR
            [
                .u32([1, 2, 4, 8, 16, 32, 64 | 8, 128 | 16, 256 | 32, 2048 | 8, 0xFFF]), zero, .handle, .u64(offsets),
                .u64([0]), .u64([0, 1 << 40]), .u64([0]), .u64([0]), .u32([0, 999_999_999]), zero, zero, .u32(modes),
                zero, .u32(owners), .u32(owners), zero,
            ]
        ),
        (5, []),  // READLINK
        (6, [.name, .name]),  // SYMLINK
        (8, [.u32(modes), .nullDevice, .u32([0o22]), zero, .name]),  // MKNOD
        (9, [.u32(modes), .u32([0o22]), .name]),  // MKDIR
        (10, [.name]),  // UNLINK
        (11, [.name]),  // RMDIR
        (12, [.node, .name, .name]),  // RENAME
        (13, [.node, .name]),  // LINK
        (14, [.u32(flags), .u32([0, 1])]),  // OPEN
        (14, [.u32(flags), .u32([0, 1])]),
        (15, [.handle, .u64(offsets), .u32(sizes), zero, .u64([0]), .u32(flags), zero]),  // READ
        (16, [.handle, .u64(offsets), .size, .u32([0, 4]), .u64([0]), .u32(flags), zero, .data]),  // WRITE
        (17, []),  // STATFS
        (18, [.handle, .u32(flags), .u32([0, 1]), .u64([0])]),  // RELEASE
        (20, [.handle, .u32([0, 1]), zero]),  // FSYNC
        (21, [.size, .u32([0, 1, 2]), zero, zero, .name, .data]),  // SETXATTR
        (22, [.u32(sizes), zero, .name]),  // GETXATTR
        (23, [.u32(sizes), zero]),  // LISTXATTR
        (24, [.name]),  // REMOVEXATTR
        (25, [.handle, zero, zero, .u64([1, 2])]),  // FLUSH
        (26, [.u32([7]), .u32([38, 31]), .u32([0]), .u32([.max]), .u32([.max])] + .init(repeating: zero, count: 11)),
        (27, [.u32([0]), .u32([0])]),  // OPENDIR
        (28, [.handle, .u64(offsets), .u32(sizes), zero, .u64([0]), zero, zero]),  // READDIR
        (29, [.handle, .u32([0]), .u32([0]), .u64([0])]),  // RELEASEDIR
        (30, [.handle, .u32([0, 1]), zero]),  // FSYNCDIR
        (31, lock),  // GETLK
        (32, lock),  // SETLK
        (33, lock),  // SETLKW
        (34, [.u32([4]), zero]),  // ACCESS
        (35, [.u32(flags), .u32(modes), .u32([0o22]), .u32([0]), .name]),  // CREATE
        (35, [.u32(flags), .u32(modes), .u32([0o22]), .u32([0]), .name]),
        (36, [.u64([1, 2, 3])]),  // INTERRUPT
        (38, []),  // DESTROY
        (39, [.handle, zero, zero, .u64([0]), zero, zero]),  // IOCTL
        (42, [.u32([1, 2, .max]), zero, .node, .u64([1]), .node, .u64([1])]),  // BATCH_FORGET
        (43, [.handle, .u64(offsets), .u64([4096, 1]), .u32([0, 1, 3, 16]), zero]),  // FALLOCATE
        (44, [.handle, .u64(offsets), .u32(sizes), zero, .u64([0]), zero, zero]),  // READDIRPLUS
        (45, [.node, .u32([0, 1, 2, 4]), zero, .name, .name]),  // RENAME2
        (46, [.handle, .u64(offsets), .u32([3, 4, 0]), zero]),  // LSEEK
        (47, [.handle, .u64(offsets), .node, .handle, .u64(offsets), .u64([4096, 1]), .u64([0])]),  // COPY_FILE_RANGE
        (50, [.u64([0])]),  // SYNCFS
        (51, [.u32(flags), .u32(modes), .u32([0o22]), .u32([0]), .name]),  // TMPFILE
        (52, [.u32([0, 1]), zero, .handle, zero, .u32([0xFFF])]),  // STATX
        (0, []), (7, []), (48, []), (4096, []), (.max, []),
    ]

    static let names: [[UInt8]] = texts.map { Array($0.utf8) } + bytes

    private static let texts = [
        "a", "b", "c", "d", "l", "p", "trees", "ro", "one", ".", "..", "", "a/b", "../secret", "user.x", "trusted.y",
        "security.capability", "system.posix_acl_access",
    ]
    private static let bytes = [
        [0xFF, 0xFE], [UInt8](repeating: 0x78, count: 255), [UInt8](repeating: 0x78, count: 256),
        [UInt8](repeating: 0x2F, count: 4095), [UInt8](repeating: 0x78, count: 5000),
    ]
}
