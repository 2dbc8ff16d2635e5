import AgentProtocol
import CLinux
import Cgroup
import LinuxSys

/// What the host asks of containers that are there.
extension Agent {
    func freeze(_ container: Container, _ frozen: Bool, request: UInt32) {
        do throws(Errno) {
            try container.cgroup.freeze(frozen)
        } catch {
            return reply(
                .failed(Failure(kind: .guest, message: "freezing the container: \(error.words)")), to: request)
        }
        awaitFreezing(container, frozen, request: request, turns: 2000)
    }

    /// The kernel needs a moment until every process stands still.
    private func awaitFreezing(_ container: Container, _ frozen: Bool, request: UInt32, turns: Int) {
        if container.cgroup.isFrozen == frozen { return reply(.done, to: request) }
        guard turns > 0 else {
            // Half frozen is nothing that anybody asked for.
            try? container.cgroup.freeze(false)
            return reply(
                .failed(Failure(kind: .guest, message: "a process of the container can't be frozen")), to: request)
        }
        loop.after(milliseconds: 1) { [self] in awaitFreezing(container, frozen, request: request, turns: turns - 1) }
    }

    func update(_ container: Container, _ settings: [CgroupSetting]) -> GuestMessage {
        do throws(CgroupError) {
            try container.cgroup.apply(settings)
            return .done
        } catch {
            return .failed(Failure(kind: .container, message: "\(error)"))
        }
    }

    func list(_ container: Container) -> GuestMessage {
        var entries: [ProcessEntry] = []
        for pid in container.cgroup.processes().prefix(WireLimit.entries) {
            // Those that ended meanwhile are none.
            guard let line = try? File.read("/proc/\(pid)/stat", limit: WireLimit.text) else { continue }
            var owner = stat()
            guard stat("/proc/\(pid)", &owner) == 0 else { continue }
            let words = (try? File.readStart("/proc/\(pid)/cmdline", count: 1024)) ?? []
            entries.append(
                ProcessEntry(pid: UInt32(clamping: pid), uid: owner.st_uid, stat: line, commandLine: words))
        }
        return .processes(entries)
    }

    func read(_ container: Container, _ files: [String]) -> GuestMessage {
        .contents(
            files.prefix(64).map { file in
                // One directory's files; nothing above it.
                guard !file.utf8.contains(UInt8(ascii: "/")) else { return FileContents(file: file, bytes: nil) }
                return FileContents(
                    file: file,
                    bytes: try? File.readStart(container.cgroup.path + "/" + file, count: WireLimit.contents))
            })
    }
}
