import Glibc
import JSON
import LinuxSys
import OCISpec
import StateStore

/// A container's cgroup on the host: the sandbox's processes are in it, at `linux.cgroupsPath`, so that who looks at the
/// host's cgroups (`stats`, `metrics`, a machine's administrator) sees what the container costs, and so that its limits hold
/// for the guest as a whole.
struct HostCgroup: Equatable, Sendable {
    /// One directory a hierarchy.
    struct Place: Equatable, Sendable {
        var directory: String
        /// Where the processes were before, and go to when it is removed.
        var outside: String
        var controllers: [String]
        var isUnified: Bool
        /// Of the hierarchy.
        var mount: String

        /// By v2's name. What a directory of v2 has, it says itself, when it is there: the one above may keep it.
        func has(_ controller: String) -> Bool {
            guard isUnified else { return controllers.contains(controller == "io" ? "blkio" : controller) }
            let bytes = (try? File.readStart(directory + "/cgroup.controllers", count: 4096)) ?? []
            return String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isWhitespace).contains(
                controller[...])
        }
    }

    var places: [Place]
    /// systemd's unit that it is; nil: it is ours alone.
    var unit: String?

    /// Whether it is one of v2 and of nothing else.
    var isUnified: Bool { places.allSatisfy(\.isUnified) }

    func has(_ controller: String) -> Bool { places.contains { $0.has(controller) } }

    /// Where it is to be.
    static func at(_ path: CgroupsPath) throws(RuntimeError) -> HostCgroup {
        let isUnit = path.slice != nil && Systemd.isRunning
        guard !isUnit || path.names.last?.hasSuffix(".slice") != true else {
            throw RuntimeError(
                "linux.cgroupsPath: \(path.names.last ?? "") is a slice of systemd, which has no processes")
        }
        do throws(Errno) {
            var places: [Place] = []
            for hierarchy in try CgroupHierarchy.all(withEmpty: isUnit) {
                let base = path.isAbsolute ? "" : hierarchy.base
                let place = Place(
                    directory: hierarchy.mount + base + "/" + path.names.joined(separator: "/"),
                    outside: hierarchy.mount + (hierarchy.own == "/" ? "" : hierarchy.own),
                    controllers: hierarchy.controllers, isUnified: hierarchy.isUnified, mount: hierarchy.mount)
                places.append(place)
            }
            return HostCgroup(places: places, unit: isUnit ? path.names.last : nil)
        } catch {
            throw RuntimeError("cgroup \(path.names.joined(separator: "/")): \(error)")
        }
    }

    /// Makes the directories; of those that systemd looks after, what it has not made.
    func make() throws(RuntimeError) {
        for place in places {
            do throws(Errno) { try Self.makeDirectories(place, handsOn: unit == nil) } catch {
                throw RuntimeError("cgroup \(place.directory): \(error)")
            }
        }
    }

    private static func makeDirectories(_ place: Place, handsOn: Bool) throws(Errno) {
        var at = place.mount
        for name in place.directory.dropFirst(place.mount.count).split(separator: "/") {
            if place.isUnified, handsOn { enableControllers(in: at) }
            let parent = at
            at += "/" + name
            do throws(Errno) { _ = try once { mkdir(at, 0o755) } } catch .fileExists {} catch { throw error }
            // A new one has no processors and no memory nodes, and takes no process.
            guard place.controllers.contains("cpuset") else { continue }
            for file in ["cpuset.cpus", "cpuset.mems"] {
                guard try File.readStart(at + "/" + file, count: 4096).allSatisfy({ $0 == 10 }) else { continue }
                try write(try File.readStart(parent + "/" + file, count: 4096), to: at + "/" + file)
            }
        }
    }

    /// Those that can't be handed on (a cgroup with processes of its own keeps them) are missing below, and no more. Each is
    /// asked for by itself: one that is refused takes the others of the same write with it.
    private static func enableControllers(in directory: String) {
        for controller in ["cpu", "memory", "pids", "cpuset", "io"] {
            try? write(Array("+\(controller)".utf8), to: directory + "/cgroup.subtree_control")
        }
    }

    private static func write(_ bytes: [UInt8], to file: String) throws(Errno) {
        try FileDescriptor.open(file, O_WRONLY).writeAll(bytes)
    }

    /// Puts this process into it, and with it the children that it makes from now on.
    func enter() throws(Errno) {
        for place in places { try Self.move(to: place.directory, place) }
    }

    /// Takes this process out of it; its children stay.
    func leave() {
        for place in places {
            do throws(Errno) { try Self.move(to: place.outside, place) } catch {
                // It may have gone since (a session that ended), or be one that gives its controllers to those below it.
                try? Self.move(to: place.mount, place)
            }
        }
    }

    /// This process has one thread. That one moves itself by `tasks` at once, where moving whole processes waits for all
    /// processors (some 4 ms for each of v1's hierarchies); v2 has one, and moves processes only.
    private static func move(to directory: String, _ place: Place) throws(Errno) {
        try write([UInt8(ascii: "0")], to: directory + (place.isUnified ? "/cgroup.procs" : "/tasks"))
    }

    /// Takes processes in, with all their threads. Those that have ended meanwhile are none.
    func adopt(_ pids: [pid_t]) {
        for place in places {
            for pid in pids { try? Self.write(Array("\(pid)".utf8), to: place.directory + "/cgroup.procs") }
        }
    }

    /// Writes a limit wherever its controller is.
    func write(_ setting: HostSetting) throws(RuntimeError) {
        for place in places where place.has(setting.controller) {
            let writes = setting.writes(isUnified: place.isUnified)
            guard let last = writes.last else { continue }
            guard let write = writes.first(where: { File.exists(place.directory + "/" + $0.file) }) else {
                throw RuntimeError("the host's cgroups have no \(last.file): its kernel can't hold that limit")
            }
            do throws(Errno) { try Self.write(Array(write.value.utf8), to: place.directory + "/" + write.file) } catch {
                throw RuntimeError("cgroup: writing \(write.value) to \(place.directory)/\(write.file): \(error)")
            }
        }
    }

    /// Tells systemd about limits, if it looks after the cgroup.
    func tell(_ properties: [UnitProperty], _ systemd: Systemd = .standard) throws(RuntimeError) {
        guard let unit, !properties.isEmpty else { return }
        try systemd.set(properties, of: unit)
    }

    /// How often the host's kernel has killed one of its processes for want of memory.
    var oomKills: Int {
        for place in places where place.has("memory") {
            let file = place.directory + (place.isUnified ? "/memory.events" : "/memory.oom_control")
            let text = String(decoding: (try? File.readStart(file, count: 4096)) ?? [], as: UTF8.self)
            for line in text.split(separator: "\n") where line.hasPrefix("oom_kill ") {
                return Int(line.dropFirst(9)) ?? 0
            }
        }
        return 0
    }

    /// What is said of a process that the host's kernel has killed for it.
    static func outOfMemory(_ name: String) -> RuntimeError {
        RuntimeError(
            "the host's kernel killed \(name) for want of memory: the container's cgroup on the host has no more "
                + "(memory limit and the guest's overhead)", exitCode: 128 + SIGKILL)
    }

    /// Processes that are in it.
    var population: Int { places.reduce(0) { max($0, Self.processes(in: $1.directory).count) } }

    /// Whether the process is in one of its directories.
    func contains(_ pid: pid_t) -> Bool { places.contains { Self.processes(in: $0.directory).contains(pid) } }

    /// Kills what is still in it, and removes it; what needs longer than `milliseconds` stays.
    /// - Returns: what systemd has against it.
    @discardableResult
    func remove(milliseconds: UInt64, _ systemd: Systemd = .standard) -> RuntimeError? {
        let end = Clock.monotonicNanoseconds() + milliseconds * 1_000_000
        var refusal: RuntimeError?
        if let unit {
            // systemd would first ask them to end, for as long as a minute and a half.
            while killAll(), Clock.monotonicNanoseconds() < end { usleep(2000) }
            do throws(RuntimeError) { try systemd.stop(unit) } catch { refusal = error }
        }
        for place in places {
            while rmdir(place.directory) != 0, errno == EBUSY, Clock.monotonicNanoseconds() < end {
                Self.killAll(in: place.directory)
                usleep(2000)
            }
        }
        return refusal
    }

    /// Whether there was anyone.
    private func killAll() -> Bool { places.reduce(false) { Self.killAll(in: $1.directory) || $0 } }

    @discardableResult
    private static func killAll(in directory: String) -> Bool {
        let others = processes(in: directory).filter { $0 != getpid() }
        for pid in others { kill(pid, SIGKILL) }
        return !others.isEmpty
    }

    private static func processes(in directory: String) -> [pid_t] {
        let bytes = (try? File.readStart(directory + "/cgroup.procs", count: 1 << 16)) ?? []
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").compactMap { pid_t($0) }.filter { $0 > 0 }
    }
}

extension HostCgroup {
    var json: JSONValue {
        let places = places.map { place -> JSONValue in
            [
                "directory": .string(place.directory), "outside": .string(place.outside),
                "controllers": JSONValue(place.controllers), "isUnified": .bool(place.isUnified),
                "mount": .string(place.mount),
            ]
        }
        return ["places": .array(places), "unit": .string(unit ?? "")]
    }

    /// That of a container that is or was there; without places if none was made.
    static func of(_ id: ContainerID, in store: StateStore) -> HostCgroup {
        guard let bytes = try? store.cgroup(of: id), let value = try? JSONValue.parse(bytes),
            let cgroup = try? HostCgroup(decoding: JSONCursor(value))
        else { return HostCgroup(places: []) }
        return cgroup
    }

    init(decoding cursor: JSONCursor) throws(JSONFieldError) {
        let fields = try cursor.object()
        places = try fields["places"].list { cursor throws(JSONFieldError) in
            let fields = try cursor.object()
            return Place(
                directory: try fields["directory"].string(), outside: try fields["outside"].string(),
                controllers: try fields["controllers"].strings(), isUnified: try fields["isUnified"].bool(),
                mount: try fields["mount"].string())
        }
        let name = try fields["unit"].string()
        unit = name.isEmpty ? nil : name
    }
}
