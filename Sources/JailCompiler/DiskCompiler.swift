/// A disk of the machine's at a place in the container. The agent has mounted it; see `GuestDisk`.
public struct JailDisk: Equatable, Sendable {
    /// Its serial number.
    public var name: String
    /// A path in the container.
    public var target: String

    public init(name: String, target: String) {
        self.name = name
        self.target = target
    }

    /// Where the child finds the disk of this name. The slash tells it from a name in the share.
    public static func source(_ name: String) -> String { "/" + name }

    /// Puts the disks among the steps of `mounts`: on top of what is mounted above their places, and below what is mounted
    /// in them.
    static func insert(_ disks: [JailDisk], into operations: inout [JailOperation]) {
        for disk in disks {
            let place = operations.firstIndex { $0.target.hasPrefix(disk.target + "/") } ?? operations.endIndex
            operations.insert(
                JailOperation(
                    .bind(source: source(disk.name), recursive: false), target: disk.target,
                    subject: "\(disk.name) to \(quoted(disk.target))"), at: place)
        }
    }
}
