import CFileCalls
import CLinux
import LinuxSys

/// Extended attributes.
extension FileCalls {
    /// What they belong to: what an O_PATH descriptor stands for.
    public struct Place {
        let descriptor: SharedDescriptor
        /// Of a symlink, which can't be reached by its descriptor.
        let symlink: (directory: SharedDescriptor, name: FileName)?

        public init(_ descriptor: SharedDescriptor, symlink: (directory: SharedDescriptor, name: FileName)? = nil) {
            self.descriptor = descriptor
            self.symlink = symlink
        }

        func withC<Result>(_ body: (cfile_place) -> Result) -> Result {
            // The caller has this place until the call returns, and so the descriptors.
            guard let symlink else { return body(cfile_place(fd: descriptor.raw, directory: -1, name: nil)) }
            return symlink.name.withPointer {
                body(cfile_place(fd: descriptor.raw, directory: symlink.directory.raw, name: $0))
            }
        }
    }

    /// An attribute's name, with its namespace; nil for what can't be one.
    public struct AttributeName {
        let terminated: [UInt8]

        public init?(_ bytes: ArraySlice<UInt8>) {
            guard !bytes.isEmpty, bytes.count <= 255, !bytes.contains(0) else { return nil }
            terminated = bytes + [0]
        }

        /// Whether it is one of POSIX's lists of access.
        public var isAccessList: Bool { terminated.starts(with: "system.posix_acl_".utf8) }

        func withPointer<Result>(_ body: (UnsafePointer<CChar>) -> Result) -> Result {
            terminated.withUnsafeBytes {
                body($0.baseAddress.unsafelyUnwrapped.assumingMemoryBound(to: CChar.self))
            }
        }
    }

    /// The most that a value, or the list of all names, can have (XATTR_SIZE_MAX).
    public static let mostAttributeBytes = 65536

    /// The value's size; it is not read.
    public static func attributeSize(_ name: AttributeName, of place: Place) throws(Errno) -> Int {
        try once { place.withC { place in name.withPointer { cfile_get_attribute(place, $0, nil, 0) } } }
    }

    /// - Throws: ERANGE when it is longer than `room`, and when that is 0.
    public static func attribute(_ name: AttributeName, of place: Place, room: Int) throws(Errno) -> [UInt8] {
        // Without room the call tells the size, and writes nothing.
        guard room > 0 else { throw Errno(rawValue: ERANGE) }
        var value = [UInt8](repeating: 0, count: min(room, mostAttributeBytes))
        let size = value.count
        let count = try once {
            place.withC { place in name.withPointer { cfile_get_attribute(place, $0, &value, size) } }
        }
        return Array(value.prefix(count))
    }

    public static func setAttribute(
        _ name: AttributeName, of place: Place, to value: [UInt8], flags: CInt
    ) throws(Errno) {
        _ = try once {
            place.withC { place in
                name.withPointer { cfile_set_attribute(place, $0, value, value.count, flags) }
            }
        }
    }

    public static func attributeListSize(of place: Place) throws(Errno) -> Int {
        try once { place.withC { cfile_list_attributes($0, nil, 0) } }
    }

    /// All names, each ended by a NUL.
    /// - Throws: ERANGE when they are longer than `room`, and when that is 0.
    public static func attributeList(of place: Place, room: Int) throws(Errno) -> [UInt8] {
        guard room > 0 else { throw Errno(rawValue: ERANGE) }
        var names = [UInt8](repeating: 0, count: min(room, mostAttributeBytes))
        let size = names.count
        let count = try once { place.withC { cfile_list_attributes($0, &names, size) } }
        return Array(names.prefix(count))
    }

    public static func removeAttribute(_ name: AttributeName, of place: Place) throws(Errno) {
        _ = try once { place.withC { place in name.withPointer { cfile_remove_attribute(place, $0) } } }
    }
}
