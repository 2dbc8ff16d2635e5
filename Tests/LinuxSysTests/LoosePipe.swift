import LinuxSys

/// A pipe whose ends can be closed one by one: by setting them to nil.
struct LoosePipe {
    var reader: SharedDescriptor?
    var writer: SharedDescriptor?

    init() throws {
        let pair = try Pipes.make()
        reader = SharedDescriptor(try pair.reader.duplicate())
        writer = SharedDescriptor(try pair.writer.duplicate())
    }

    /// What is read up to the end, which comes when no writer is left.
    func rest() throws -> String { text(try reader?.descriptor.readAll(limit: 1 << 20) ?? []) }
}
