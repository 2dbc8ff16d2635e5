import FileCalls
import Glibc
import LinuxSys
import Testing

@testable import VirtioFS

/// Set-user-ID and set-group-ID bits: who keeps them, and when they go.
struct CredentialTests {
    private func mode(_ path: String) throws -> mode_t {
        var status = stat()
        try #require(stat(path, &status) == 0)
        return status.st_mode & 0o7777
    }

    /// FALLOCATE and COPY_FILE_RANGE have no flag for it.
    @Test func usersAllocationsAndCopiesClearThem() throws {
        let guest = try FuseGuest()
        let root = try guest.root()
        try guest.hostWrite("source", String(repeating: "s", count: 100))
        let source = try guest.lookup("source", in: root)
        let from = try guest.open(source.node, O_RDONLY)
        let (file, handle) = try guest.create("f", in: root, mode: 0o666)
        _ = try guest.write(handle, file.node, at: 0, [UInt8](repeating: 1, count: 8192))
        func allocate(_ mode: UInt32) throws {
            let body = FuseGuest.bytes([handle, 0, 4096]) + FuseGuest.bytes([mode, 0])
            _ = try guest.done(.allocate, file.node, body)
        }
        func copy() throws {
            let body = FuseGuest.bytes([from, 0, file.node, handle, 0, 50, 0])
            _ = try guest.done(.copyRange, source.node, body)
        }
        let changes: [(String, () throws -> Void)] = [
            ("allocate", { try allocate(0) }), ("punch", { try allocate(3) }), ("zero", { try allocate(16) }),
            ("copy", copy),
        ]
        for (name, change) in changes {
            for uid in [1000 as UInt32, 0] {
                guest.uid = 0
                #expect(try guest.setAttributes(file.node, valid: 1, mode: 0o6777).error == 0)
                guest.uid = uid
                try change()
                let left = try mode(guest.host("f"))
                #expect(left == (uid == 0 ? 0o6777 : 0o777), "\(name) by \(uid)")
            }
        }
    }

    /// The guest's kernel has stripped what is to be stripped, whatever the thread did before.
    @Test func newFilesKeepThem() throws {
        let guest = try FuseGuest()
        let root = try guest.root()
        let directory = try guest.makeDirectory("d", in: root, mode: 0o777)
        try #require(chown(guest.host("d"), 0, 2000) == 0 && chmod(guest.host("d"), 0o2777) == 0)
        let (other, handle) = try guest.create("ordinary", in: root)
        guest.uid = 1000
        guest.gid = 1000
        func write() throws {
            // With FUSE_WRITE_KILL_SUIDGID: the thread gives up CAP_FSETID.
            let body =
                FuseGuest.bytes([handle, 0]) + FuseGuest.bytes([UInt32(1), 4]) + FuseGuest.bytes([UInt64(0)])
                + FuseGuest.bytes([UInt32(0), 0, 1])
            _ = try guest.done(.write, other.node, body)
        }
        try write()
        _ = try guest.create("created", in: directory.node, mode: 0o2775)
        #expect(try mode(guest.host("d/created")) == 0o2775)
        try write()
        let node = FuseGuest.bytes([UInt32(S_IFREG) | 0o2775, 0, 0, 0]) + FuseGuest.text("made")
        _ = try guest.done(.makeNode, directory.node, node)
        #expect(try mode(guest.host("d/made")) == 0o2775)
    }
}
