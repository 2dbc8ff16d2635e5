import AgentProtocol
import JSON
import JailCompiler
import LinuxSys
import OCISpec
import StateStore

/// `update`: changes a container's limits.
public enum Update {
    public struct Options: Sendable {
        public var id: String
        /// A file of `linux.resources`, or "-" for stdin; the values below are not looked at then.
        public var file: String?
        public var resources = Linux.Resources()

        public init(id: String) { self.id = id }
    }

    public static func run(_ context: RuntimeContext, _ options: Options) throws(RuntimeError) {
        let (id, record) = try context.record(options.id)
        switch record.currentStatus {
        case .created, .running, .paused: break
        case .creating, .stopped: throw RuntimeError("container not running")
        }
        let changes = try options.file.map(read) ?? options.resources
        let refusals = changes.refusals()
        guard refusals.isEmpty else { throw RuntimeError(refusals.map(\.description).joined(separator: "; ")) }
        do {
            var spec = try Spec(json: try JSONValue.parse(try context.store.spec(of: id)))
            let before = try CgroupSettings.of(spec.guestResources)
            let wasLimited = (spec.linux?.resources?.memory?.limit ?? 0) > 0
            var linux = spec.linux ?? Linux()
            linux.resources = (linux.resources ?? Linux.Resources()).changed(by: changes)
            spec.linux = linux
            try spec.validate()
            let after = try CgroupSettings.of(spec.guestResources)
            try checkMemory(changes.memory?.limit, record)
            if spec.linux?.resources?.memory?.checkBeforeUpdate == true || changes.memory?.checkBeforeUpdate == true {
                try checkUsage(changes.memory?.limit, id, context)
            }
            // What is as it was needn't be written.
            let settings = after.filter { !before.contains($0) }
            try Ask.supervisor(of: id, in: context.store, .update(settings))
            var limits = HostLimits(spec.linux?.resources, guestMemoryMiB: record.memoryMiB, accelerated: false)
            // The host's follows the guest's size, which stays, whatever the container may have of it.
            if wasLimited && (limits.memory ?? 0) >= 0 { limits.memory = nil }
            let cgroup = HostCgroup.of(id, in: context.store)
            // In another's guest the host has no limits of its own for it.
            if record.sandbox.isEmpty { try limits.update(cgroup) }
            try context.store.write(spec: spec.json.bytes(), of: id)
        } catch let error as RuntimeError {
            throw error
        } catch {
            throw RuntimeError("update: \(error)")
        }
    }

    /// A guest's memory is what it was made with.
    private static func checkMemory(_ limit: Int64?, _ record: ContainerRecord) throws(RuntimeError) {
        guard let limit, limit > 0, record.memoryMiB > 0, limit >> 20 > Int64(record.memoryMiB) else { return }
        throw RuntimeError(
            "linux.resources.memory.limit: the guest was made with \(record.memoryMiB) MiB, and can't be given "
                + "\(limit >> 20) MiB while it runs")
    }

    /// A limit below what is used would have the kernel kill somebody.
    private static func checkUsage(
        _ limit: Int64?, _ id: ContainerID, _ context: RuntimeContext
    ) throws(RuntimeError) {
        guard let limit, limit > 0 else { return }
        let files = try Ask.supervisor(of: id, in: context.store, .readCgroup(["memory.current"]))
        let text = files.first?["text"]?.string ?? ""
        guard let usage = Int64(text.split(separator: "\n").first ?? ""), usage > limit else { return }
        throw RuntimeError("unable to set memory limit to \(limit): the container uses \(usage) bytes")
    }

    private static func read(_ file: String) throws(RuntimeError) -> Linux.Resources {
        do {
            let bytes =
                file == "-"
                ? try FileDescriptor.duplicate(of: 0).readAll(limit: Bundle.longestSpec)
                : try File.read(file, limit: Bundle.longestSpec)
            return try Linux.Resources(decoding: JSONCursor(try JSONValue.parse(bytes)))
        } catch {
            throw RuntimeError("--resources \(file): \(error)")
        }
    }
}

extension Linux.Resources {
    /// With what `other` says; what it does not say stays. Numbers of 0 say nothing, as with runc.
    func changed(by other: Linux.Resources) -> Linux.Resources {
        func said<T: FixedWidthInteger>(_ new: T?, _ old: T?) -> T? { new.flatMap { $0 == 0 ? nil : $0 } ?? old }
        var result = self
        if let change = other.memory {
            var memory = result.memory ?? Memory()
            memory.limit = said(change.limit, memory.limit)
            memory.reservation = said(change.reservation, memory.reservation)
            // As runc: a new limit of memory without a word on swap lifts an old one that would be in the way.
            memory.swap = said(change.swap, nil) ?? (change.limit == -1 ? nil : memory.swap)
            if let limit = memory.limit, let swap = memory.swap, swap > 0, limit > swap { memory.swap = limit }
            result.memory = memory
        }
        if let change = other.cpu {
            var cpu = result.cpu ?? CPU()
            cpu.shares = said(change.shares, cpu.shares)
            cpu.quota = said(change.quota, cpu.quota)
            cpu.period = said(change.period, cpu.period)
            if !change.cpus.isEmpty { cpu.cpus = change.cpus }
            if !change.mems.isEmpty { cpu.mems = change.mems }
            cpu.burst = change.burst ?? cpu.burst
            cpu.idle = change.idle ?? cpu.idle
            result.cpu = cpu
        }
        if let limit = said(other.pids?.limit, nil) { result.pids = Pids(limit: limit) }
        for (file, value) in other.unified { result.unified[file] = value }
        return result
    }
}
