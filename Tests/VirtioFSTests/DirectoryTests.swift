import FileCalls
import Glibc
import LinuxSys
import Testing

@testable import VirtioFS

struct DirectoryTests {
    @Test(arguments: [false, true], [300 as UInt32, 4096, 65536]) func manyNames(plus: Bool, size: UInt32) throws {
        let guest = try FuseGuest()
        let expected = (0..<2000).map { "file-\($0)" }
        for name in expected { try guest.hostWrite(name, "") }
        let names = try guest.names(in: guest.root(), size: size, plus: plus)
        #expect(Set(names) == Set(expected + [".", ".."]))
        #expect(names.count == expected.count + 2)
    }

    @Test func plusTellsOfInodesThatAreThenKnown() throws {
        let guest = try FuseGuest()
        try guest.hostWrite("f", "four")
        let root = try guest.root()
        let before = guest.device.keptDescriptors
        _ = try guest.names(in: root, plus: true)
        // Nothing was opened for it.
        let after = guest.device.keptDescriptors
        #expect(after <= before + 1)
        let entry = try guest.lookup("f", in: root)
        #expect(entry.size == 4)
        try guest.forget(entry.node, 1)
        #expect(try guest.attributes(entry.node).error == 0)
        try guest.forget(entry.node, 1)
        #expect(try guest.attributes(entry.node).error == ESTALE)
    }

    @Test func hostChangesWhatIsBeingRead() throws {
        let guest = try FuseGuest()
        for number in 0..<1000 { try guest.hostWrite("f\(number)", "") }
        var round = 0
        let names = try guest.names(in: guest.root(), size: 1024, plus: true) {
            round += 1
            // Those that stay are told once, whatever happens to others.
            for number in (round * 10)..<(round * 10 + 5) where number >= 500 && number < 1000 {
                unlink(guest.host("f\(number)"))
            }
            try guest.hostWrite("new\(round)", "")
        }
        let stayed = (0..<500).map { "f\($0)" }
        #expect(Set(names).isSuperset(of: stayed))
        #expect(names.filter { $0.hasPrefix("f") }.count == Set(names.filter { $0.hasPrefix("f") }).count)
    }

    @Test func removedDirectoryIsEmpty() throws {
        let guest = try FuseGuest()
        let root = try guest.root()
        let directory = try guest.makeDirectory("d", in: root)
        let handle: UInt64 = try guest.done(.openDirectory, directory.node, FuseGuest.bytes([UInt32(0), 0])).number(0)
        _ = try guest.done(.removeDirectory, root, FuseGuest.text("d"))
        let body = FuseGuest.bytes([handle, 0]) + FuseGuest.bytes([UInt32(4096), 0, 0, 0, 0, 0])
        let answer = try guest.call(.readDirectory, directory.node, body)
        #expect(answer.error == ENOENT || answer.bytes.isEmpty)
    }

    @Test func wildOffsets() throws {
        let guest = try FuseGuest()
        try guest.hostWrite("f", "")
        let root = try guest.root()
        let handle: UInt64 = try guest.done(.openDirectory, root, FuseGuest.bytes([UInt32(0), 0])).number(0)
        for offset in [UInt64.max, 1 << 63, 12345, 1, 0] {
            let body = FuseGuest.bytes([handle, offset]) + FuseGuest.bytes([UInt32.max, 0, 0, 0, 0, 0])
            _ = try guest.call(.readDirectory, root, body)
        }
        let again = FuseGuest.bytes([handle, 0]) + FuseGuest.bytes([UInt32(4096), 0, 0, 0, 0, 0])
        #expect(try guest.done(.readDirectory, root, again).bytes.count >= 3 * 32)
    }

    @Test func whatWasReadAheadIsGivenBack() throws {
        let limits = FileSystemLimits(inodes: 10000, openFiles: 1000, descriptors: 100, lockOwners: 8)
        let guest = try FuseGuest(limits: limits)
        let root = try guest.root()
        for number in 0..<200 { try guest.hostWrite("f\(number)", "") }
        func read(_ handle: UInt64, _ offset: UInt64) throws -> Answer {
            try guest.done(
                .readDirectoryPlus, root,
                FuseGuest.bytes([handle, offset]) + FuseGuest.bytes([UInt32(1000), 0, 0, 0, 0, 0]))
        }
        func last(_ answer: Answer) throws -> UInt64 {
            var (at, offset): (Int, UInt64) = (0, 0)
            while at < answer.bytes.count {
                offset = try answer.number(at + 128 + 8)
                at += 128 + (24 + Int(try answer.number(at + 128 + 16, UInt32.self)) + 7) & ~7
            }
            return offset
        }
        var handles: [UInt64] = []
        for _ in 0..<600 {
            handles.append(try guest.done(.openDirectory, root, FuseGuest.bytes([UInt32(0), 0])).number(0))
        }
        var offsets: [UInt64] = []
        for handle in handles { offsets.append(try last(read(handle, 0))) }
        let most = guest.device.bufferedBytes
        #expect(most > 0 && most <= 128 * 32768)
        // Each goes on where it was, and keeps nothing at the end.
        for (handle, offset) in zip(handles, offsets) {
            var next = offset
            var count = 0
            while true {
                let answer = try read(handle, next)
                if answer.bytes.isEmpty { break }
                next = try last(answer)
                count += 1
            }
            #expect(count > 20)
        }
        let left = guest.device.bufferedBytes
        #expect(left == 0)
    }

    @Test func answersAreBounded() throws {
        let guest = try FuseGuest()
        let root = try guest.root()
        let limit = 1 << 20
        // More than fit: each entry takes 408 bytes.
        let name = String(repeating: "n", count: 240)
        for number in 0..<2700 { try guest.hostWrite("\(number)\(name)", "") }
        let handle: UInt64 = try guest.done(.openDirectory, root, FuseGuest.bytes([UInt32(0), 0])).number(0)
        let answer = try guest.done(
            .readDirectoryPlus, root,
            FuseGuest.bytes([handle, 0]) + FuseGuest.bytes([UInt32(3 << 20), 0, 0, 0, 0, 0]), room: 2 << 20)
        #expect(answer.bytes.count <= limit && answer.bytes.count > limit - 1000)
    }
}
