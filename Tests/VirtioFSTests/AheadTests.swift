import FileCalls
import Glibc
import LinuxSys
import Testing

@testable import VirtioFS

/// Work without kicks, and what is done before it is asked for.
struct AheadTests {
    private func openDirectory(_ guest: FuseGuest, _ node: UInt64) throws -> (handle: UInt64, flags: UInt32) {
        let answer = try guest.done(.openDirectory, node, FuseGuest.bytes([UInt32(0), 0]))
        return (try answer.number(0), try answer.number(8))
    }

    private func listing(_ guest: FuseGuest, _ node: UInt64, _ handle: UInt64, from offset: UInt64, size: UInt32)
        throws -> [(name: String, entry: Entry, next: UInt64)]
    {
        let body = FuseGuest.bytes([handle, offset]) + FuseGuest.bytes([size, 0, 0, 0, 0, 0])
        let answer = try guest.done(.readDirectoryPlus, node, body)
        var entries: [(String, Entry, UInt64)] = []
        var at = 0
        while at < answer.bytes.count {
            let length: UInt32 = try answer.number(at + 128 + 16)
            let name = String(decoding: answer.bytes[(at + 152)..<(at + 152 + Int(length))], as: UTF8.self)
            entries.append((name, try Entry(answer, at: at), try answer.number(at + 128 + 8)))
            at += 128 + (24 + Int(length) + 7) & ~7
        }
        return entries
    }

    @Test func answersWithoutAskingForKicks() throws {
        let guest = try FuseGuest()
        let root = try guest.root()
        // At rest it wants the next kick.
        for _ in 0..<3 { guest.run() }
        #expect(try guest.requests.availableEvent() == guest.requests.available)
        try guest.post(.getAttributes, root, FuseGuest.bytes([UInt64(0), 0]))
        let found = guest.device.poll()
        #expect(found)
        #expect(try guest.take()?.answer.error == 0)
        // The wish of before is passed, and there is no new one.
        #expect(try guest.requests.availableEvent() != guest.requests.available)
        let idle = guest.device.poll()
        #expect(!idle)
        guest.run()
        #expect(try guest.requests.availableEvent() == guest.requests.available)
    }

    @Test func aBrokenQueueIsToldByRun() throws {
        let guest = try FuseGuest()
        try guest.requests.setAvailableIndex(guest.requests.available &+ 1000)
        let found = guest.device.poll()
        #expect(!found)
        guest.run()
        guard case .broken = guest.lastRun else {
            Issue.record("\(guest.lastRun)")
            return
        }
    }

    @Test(arguments: [CachePolicy.auto, .never]) func attributesAheadAreThoseOfTheNames(cache: CachePolicy) throws {
        let guest = try FuseGuest(cache: cache)
        for number in 0..<50 { try guest.hostWrite("file-\(number)", String(repeating: "x", count: number)) }
        let root = try guest.root()
        let handle = try openDirectory(guest, root).handle
        var offset: UInt64 = 0
        var sizes: [String: UInt64] = [:]
        while true {
            for _ in 0..<7 { _ = guest.device.poll() }
            let entries = try listing(guest, root, handle, from: offset, size: 2000)
            if entries.isEmpty { break }
            for entry in entries where !entry.name.hasPrefix(".") {
                #expect(sizes[entry.name] == nil)
                sizes[entry.name] = entry.entry.size
            }
            offset = entries.last?.next ?? 0
        }
        #expect(sizes == Dictionary(uniqueKeysWithValues: (0..<50).map { ("file-\($0)", UInt64($0)) }))
    }

    /// What the guest changed between two answers is in the second, although it was looked up before.
    @Test func ownChangesAreNotMissed() throws {
        let guest = try FuseGuest()
        for number in 0..<40 { try guest.hostWrite("file-\(number)", "") }
        let root = try guest.root()
        let handle = try openDirectory(guest, root).handle
        let first = try listing(guest, root, handle, from: 0, size: 1000)
        let shown = Set(first.map(\.name))
        for _ in 0..<64 { _ = guest.device.poll() }
        for number in 0..<40 where !shown.contains("file-\(number)") {
            let entry = try guest.lookup("file-\(number)", in: root)
            let open = try guest.open(entry.node)
            #expect(try guest.write(open, entry.node, at: 0, [1, 2, 3]) == 3)
            try guest.release(open, entry.node)
        }
        let rest = try listing(guest, root, handle, from: try #require(first.last?.next), size: 65536 - 16 - 8192)
        #expect(rest.count > 10)
        for entry in rest where !entry.name.hasPrefix(".") { #expect(entry.entry.size == 3, "\(entry.name)") }
    }

    /// A file that goes away between the look ahead and the answer, and one that another takes the place of.
    @Test func hostChangesAfterTheLookDoNoHarm() throws {
        let guest = try FuseGuest()
        for number in 0..<40 { try guest.hostWrite("file-\(number)", "") }
        let root = try guest.root()
        let handle = try openDirectory(guest, root).handle
        let first = try listing(guest, root, handle, from: 0, size: 1000)
        for _ in 0..<64 { _ = guest.device.poll() }
        for number in 0..<40 { unlink(guest.host("file-\(number)")) }
        try guest.hostWrite("file-39", "new")
        let rest = try listing(guest, root, handle, from: try #require(first.last?.next), size: 8000)
        for entry in rest where entry.entry.node != 0 && !entry.name.hasPrefix(".") {
            let answer = try guest.attributes(entry.entry.node)
            #expect(answer.error == ESTALE || answer.error == 0)
            try guest.forget(entry.entry.node)
        }
    }

    /// The guest keeps the names of a directory that it reads again and again; of one that changes it does not.
    @Test func namesAreKeptWhenTheyAreReadOften() throws {
        let guest = try FuseGuest()
        let directory = try guest.makeDirectory("d", in: guest.root())
        try guest.hostWrite("d/f", "")
        var times = [timespec(tv_sec: 1000, tv_nsec: 0), timespec(tv_sec: 1000, tv_nsec: 0)]
        utimensat(AT_FDCWD, guest.host("d"), &times, 0)
        let flags = try (0..<4).map { _ in try openDirectory(guest, directory.node).flags }
        #expect(flags == [0, 0, 10, 10])
        times[1].tv_sec = 2000
        utimensat(AT_FDCWD, guest.host("d"), &times, 0)
        #expect(try openDirectory(guest, directory.node).flags == 0)
    }
}
