/// An initramfs (cpio, "newc"), for guests without an agent.
struct Archive {
    private(set) var bytes: [UInt8] = []

    init(_ entries: [(name: String, mode: UInt32, data: [UInt8])]) {
        for (index, entry) in entries.enumerated() {
            add(entry.name, inode: UInt32(index + 1), mode: entry.mode, entry.data)
        }
        add("TRAILER!!!", inode: 0, mode: 0, [])
    }

    static let directory: UInt32 = 0o040755
    static let program: UInt32 = 0o100755

    private mutating func add(_ name: String, inode: UInt32, mode: UInt32, _ data: [UInt8]) {
        let size = UInt32(data.count)
        // ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor, rdevmajor, rdevminor, namesize, check
        let fields = [inode, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, UInt32(name.utf8.count + 1), 0]
        bytes += Array("070701".utf8)
        for field in fields {
            let digits = String(field, radix: 16)
            bytes += Array((String(repeating: "0", count: 8 - digits.utf8.count) + digits).utf8)
        }
        bytes += Array(name.utf8) + [0]
        pad()
        bytes += data
        pad()
    }

    private mutating func pad() { while bytes.count % 4 != 0 { bytes.append(0) } }
}
