import Glibc
import JSON
import LinuxSys
import OCISpec

/// What can go wrong with containers on disk.
public enum StateError: Error, Equatable, Sendable, CustomStringConvertible {
    case exists(String)
    case missing(String)
    case damaged(path: String, reason: String)
    case io(path: String, doing: String, Errno)

    public var description: String {
        switch self {
        case .exists(let id): "container with given ID already exists: \(id)"
        case .missing(let id): "container does not exist: \(id)"
        case .damaged(let path, let reason): "\(path) is damaged: \(reason); `delete --force` removes the container"
        case .io(let path, let doing, let errno): "can't \(doing) \(path): \(errno)"
        }
    }
}

extension StateError {
    fileprivate var isForWantOfRoom: Bool {
        guard case .io(_, _, let errno) = self else { return false }
        return errno == .noRoom || errno == .quotaExceeded
    }
}

/// The containers under one root directory: one directory a container, with `state.json` in it.
public struct StateStore: Sendable {
    public let root: String

    static let stateFile = "state.json"
    static let specFile = "config.json"
    static let cgroupFile = "cgroup.json"
    static let reserveFile = ".reserve"

    public init(root: String) { self.root = root }

    public func directory(of id: ContainerID) -> String { root + "/" + id.text }

    /// Takes the id: makes its directory, which only one caller can.
    public func claim(_ id: ContainerID) throws(StateError) {
        do throws(Errno) { try File.makeDirectories(root, mode: 0o711) } catch {
            throw .io(path: root, doing: "make the directory", error)
        }
        let path = directory(of: id)
        do throws(Errno) { _ = try once { mkdir(path, 0o700) } } catch .fileExists {
            throw .exists(id.text)
        } catch {
            throw .io(path: path, doing: "make the directory", error)
        }
    }

    /// On a full file system it takes the room that `reserve` has kept.
    public func write(_ record: ContainerRecord, of id: ContainerID) throws(StateError) {
        let bytes = record.json.bytes()
        do throws(StateError) { try write(bytes, to: Self.stateFile, of: id) } catch {
            guard error.isForWantOfRoom, releaseRoom(of: id) else { throw error }
            // What the old file had is the room for the next one.
            defer { try? reserveRoom(for: record, of: id) }
            try write(bytes, to: Self.stateFile, of: id)
        }
    }

    /// Keeps room for the records to come: a container that runs is not to depend on what others leave of the disk.
    public func reserveRoom(for record: ContainerRecord, of id: ContainerID) throws(StateError) {
        let path = directory(of: id) + "/" + Self.reserveFile
        let size = off_t(2 * record.json.bytes().count + 4096)
        do throws(Errno) {
            let file = try FileDescriptor.open(path, O_WRONLY | O_CREAT | O_NOFOLLOW, mode: 0o600)
            // It answers with an error number.
            let error = posix_fallocate(file.raw, 0, size)
            if error != 0 { throw Errno(rawValue: error) }
        } catch {
            unlink(path)
            throw .io(path: path, doing: "keep room for", error)
        }
    }

    /// - Returns: whether there was any.
    @discardableResult
    public func releaseRoom(of id: ContainerID) -> Bool {
        unlink(directory(of: id) + "/" + Self.reserveFile) == 0
    }

    /// Keeps the configuration that the container was made from.
    public func write(spec: [UInt8], of id: ContainerID) throws(StateError) {
        try write(spec, to: Self.specFile, of: id)
    }

    /// Keeps where the container's cgroup on the host is, in the runtime's own form: it is written before there is one, so
    /// that it is found whatever becomes of its maker. Half a file means that there is none yet, and no cgroup survives a
    /// crash of the machine: it needn't wait for the disk.
    public func write(cgroup: [UInt8], of id: ContainerID) throws(StateError) {
        let path = directory(of: id) + "/" + Self.cgroupFile
        do throws(Errno) {
            try FileDescriptor.open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode: 0o600).writeAll(cgroup)
        } catch {
            throw .io(path: path, doing: "write", error)
        }
    }

    public func cgroup(of id: ContainerID) throws(StateError) -> [UInt8] { try read(Self.cgroupFile, of: id) }

    private func write(_ bytes: [UInt8], to name: String, of id: ContainerID) throws(StateError) {
        let path = directory(of: id)
        do throws(Errno) {
            try File.writeAtomically(bytes, to: name, in: try FileDescriptor.directory(path))
        } catch {
            throw .io(path: path + "/" + name, doing: "write", error)
        }
    }

    public func spec(of id: ContainerID) throws(StateError) -> [UInt8] { try read(Self.specFile, of: id) }

    private func read(_ name: String, of id: ContainerID) throws(StateError) -> [UInt8] {
        let path = directory(of: id) + "/" + name
        do throws(Errno) { return try File.read(path, limit: 8 << 20) } catch .noSuchFile {
            throw .missing(id.text)
        } catch {
            throw .io(path: path, doing: "read", error)
        }
    }

    /// - Throws: `missing` when there is no such container, `damaged` when its file can't be understood.
    public func record(of id: ContainerID) throws(StateError) -> ContainerRecord {
        let bytes = try read(Self.stateFile, of: id)
        let path = directory(of: id) + "/" + Self.stateFile
        let value: JSONValue
        do throws(JSONError) { value = try JSONValue.parse(bytes) } catch {
            throw .damaged(path: path, reason: "\(error)")
        }
        do throws(JSONFieldError) { return try ContainerRecord(decoding: value) } catch {
            throw .damaged(path: path, reason: "\(error)")
        }
    }

    /// The uid that the container's directory belongs to; nil when there is none.
    public func owner(of id: ContainerID) -> UInt32? {
        var status = stat()
        return lstat(directory(of: id), &status) == 0 ? status.st_uid : nil
    }

    public func exists(_ id: ContainerID) -> Bool { File.isDirectory(directory(of: id)) }

    /// Every container, by name.
    public func all() throws(StateError) -> [ContainerID] {
        do throws(Errno) { return try File.list(root).sorted().compactMap(ContainerID.init) } catch .noSuchFile {
            return []
        } catch {
            throw .io(path: root, doing: "list", error)
        }
    }

    /// Removes the container's directory and all that is in it. There are never mounts below it on the host: those of a
    /// sandbox are in a mount namespace of their own.
    public func remove(_ id: ContainerID) throws(StateError) {
        let path = directory(of: id)
        do throws(Errno) { try Self.removeTree(path) } catch .noSuchFile {} catch {
            throw .io(path: path, doing: "remove", error)
        }
    }

    private static func removeTree(_ path: String) throws(Errno) {
        for name in try File.list(path) {
            let entry = path + "/" + name
            do throws(Errno) { _ = try once { unlink(entry) } } catch .isDirectory {
                try removeTree(entry)
            } catch {
                throw error
            }
        }
        _ = try once { rmdir(path) }
    }
}
