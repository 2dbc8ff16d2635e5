/// A disk of the machine's that a container has, mounted by the agent before the container's child is made: the child
/// finds it as `/name` where a source is a path below the share. Or one that is the guest's own root.
public struct GuestDisk: Equatable, Sendable {
    /// More virtio devices a machine does not have.
    public static let most = 16

    /// The disk's serial number: 1 to 20 characters, no slash.
    public var name: String
    /// A file system of the guest's kernel.
    public var type: String
    public var readOnly: Bool
    /// What is written goes to the guest's memory, and with the container.
    public var overlay: Bool

    public init(name: String, type: String, readOnly: Bool, overlay: Bool) {
        self.name = name
        self.type = type
        self.readOnly = readOnly
        self.overlay = overlay
    }

    func write(to writer: inout WireWriter) {
        writer.put(name)
        writer.put(type)
        writer.put(readOnly)
        writer.put(overlay)
    }

    init(from reader: inout WireReader) throws(WireError) {
        name = try reader.text("disk", limit: 20)
        type = try reader.text("type", limit: 20)
        readOnly = try reader.bool("readOnly")
        overlay = try reader.bool("overlay")
        let isName = !name.isEmpty && name != "." && name != ".." && !name.utf8.contains(UInt8(ascii: "/"))
        guard isName else { throw .badValue(field: "disk") }
    }
}
