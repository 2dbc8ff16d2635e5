import Glibc
import JSON
import JailCompiler
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

        func has(_ controller: String) -> Bool { isUnified || controllers.contains(controller) }
    }

    var places: [Place]

    /// Where it is to be.
    static func at(_ path: CgroupsPath) throws(RuntimeError) -> HostCgroup {
        do throws(Errno) {
            var places: [Place] = []
            for hierarchy in try CgroupHierarchy.all() {
                let base = path.isAbsolute ? "" : hierarchy.base
                let place = Place(
                    directory: hierarchy.mount + base + "/" + path.names.joined(separator: "/"),
                    outside: hierarchy.mount + (hierarchy.own == "/" ? "" : hierarchy.own),
                    controllers: hierarchy.controllers, isUnified: hierarchy.isUnified, mount: hierarchy.mount)
                places.append(place)
            }
            return HostCgroup(places: places)
        } catch {
            throw RuntimeError("cgroup \(path.names.joined(separator: "/")): \(error)")
        }
    }

    /// Makes the directories.
    func make() throws(RuntimeError) {
        for place in places {
            do throws(Errno) { try Self.makeDirectories(place) } catch {
                throw RuntimeError("cgroup \(place.directory): \(error)")
            }
        }
    }

    private static func makeDirectories(_ place: Place) throws(Errno) {
        var at = place.mount
        for name in place.directory.dropFirst(place.mount.count).split(separator: "/") {
            if place.isUnified { enableControllers(in: at) }
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

    /// Those that can't be handed on (a cgroup with processes of its own keeps them) are missing below, and no more.
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
        for place in places { try? Self.move(to: place.outside, place) }
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

    /// Writes a limit, by the names of v1 and of v2; nil: that version has no such thing.
    func write(_ value: String, _ controller: String, v1: String?, v2: String?) throws(RuntimeError) {
        for place in places where place.has(controller) {
            guard let file = place.isUnified ? v2 : v1 else { continue }
            do throws(Errno) { try Self.write(Array(value.utf8), to: place.directory + "/" + file) } catch {
                throw RuntimeError("cgroup: writing \(value) to \(place.directory)/\(file): \(error)")
            }
        }
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

    /// Processes that are in it.
    var population: Int { places.reduce(0) { max($0, Self.processes(in: $1.directory).count) } }

    /// Kills what is still in it, and removes it; what needs longer than `milliseconds` stays.
    func remove(milliseconds: UInt64) {
        let end = Clock.monotonicNanoseconds() + milliseconds * 1_000_000
        for place in places {
            while rmdir(place.directory) != 0, errno == EBUSY, Clock.monotonicNanoseconds() < end {
                for pid in Self.processes(in: place.directory) where pid != getpid() { kill(pid, SIGKILL) }
                usleep(2000)
            }
        }
    }

    private static func processes(in directory: String) -> [pid_t] {
        let bytes = (try? File.readStart(directory + "/cgroup.procs", count: 1 << 16)) ?? []
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").compactMap { pid_t($0) }.filter { $0 > 0 }
    }
}

extension HostCgroup {
    var json: JSONValue {
        .array(
            places.map { place in
                [
                    "directory": .string(place.directory), "outside": .string(place.outside),
                    "controllers": JSONValue(place.controllers), "isUnified": .bool(place.isUnified),
                    "mount": .string(place.mount),
                ]
            })
    }

    /// That of a container that is or was there; without places if none was made.
    static func of(_ id: ContainerID, in store: StateStore) -> HostCgroup {
        guard let bytes = try? store.cgroup(of: id), let value = try? JSONValue.parse(bytes),
            let cgroup = try? HostCgroup(decoding: JSONCursor(value))
        else { return HostCgroup(places: []) }
        return cgroup
    }

    init(decoding cursor: JSONCursor) throws(JSONFieldError) {
        places = try cursor.list { cursor throws(JSONFieldError) in
            let fields = try cursor.object()
            return Place(
                directory: try fields["directory"].string(), outside: try fields["outside"].string(),
                controllers: try fields["controllers"].strings(), isUnified: try fields["isUnified"].bool(),
                mount: try fields["mount"].string())
        }
    }
}

/// `linux.cgroupsPath`, without what could lead out of the tree.
struct CgroupsPath: Equatable {
    /// Below the root of the hierarchies, or below the cgroup of the caller.
    var isAbsolute: Bool
    var names: [String]

    /// - Parameter systemd: the path has the form slice:prefix:name, and stands for where systemd would put such a scope.
    init(_ text: String, id: String, systemd: Bool) throws(RuntimeError) {
        if systemd {
            let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
            guard text.isEmpty || parts.count == 3 else {
                throw RuntimeError(
                    "linux.cgroupsPath: expected the form slice:prefix:name for systemd cgroups, got \(text.debugDescription)"
                )
            }
            let slice = parts.count == 3 && !parts[0].isEmpty ? parts[0] : "system.slice"
            let prefix = parts.count == 3 ? parts[1] : "kvm-runtime"
            let name = parts.count == 3 ? parts[2] : id
            let unit = name.hasSuffix(".slice") ? name : (prefix.isEmpty ? name : "\(prefix)-\(name)") + ".scope"
            isAbsolute = true
            names = try Self.slices(slice) + [unit]
        } else {
            isAbsolute = text.hasPrefix("/")
            names = CgroupPath.parts(text)
            if names.isEmpty {
                isAbsolute = false
                names = [id]
            }
        }
        guard names.allSatisfy({ !$0.contains("/") && $0 != ".." && $0 != "." && !$0.isEmpty }) else {
            throw RuntimeError("linux.cgroupsPath: \(text.debugDescription) is no path of a cgroup")
        }
    }

    /// "a-b.slice" is in "a.slice".
    private static func slices(_ name: String) throws(RuntimeError) -> [String] {
        guard name.hasSuffix(".slice"), !name.contains("/") else {
            throw RuntimeError("linux.cgroupsPath: \(name.debugDescription) is no slice of systemd")
        }
        if name == "-.slice" { return [] }
        var names: [String] = []
        var path = ""
        for part in name.dropLast(6).split(separator: "-", omittingEmptySubsequences: false) {
            guard !part.isEmpty else {
                throw RuntimeError("linux.cgroupsPath: \(name.debugDescription) is no slice of systemd")
            }
            path += (path.isEmpty ? "" : "-") + part
            names.append(path + ".slice")
        }
        return names
    }
}
