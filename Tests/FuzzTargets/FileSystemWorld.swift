import FileCalls
import LinuxSys
import VirtioFS

/// The trees of a file system device, what the host does in them, and a guest that remembers what it was told.
final class FileSystemWorld: DeviceWorld {
    private let folder: ScratchFolder
    private let trees: SharedTrees
    private let host: HostTree
    private var names: [FileName] = []
    /// Inodes and open files, as the answers named them; the root of all is there from the beginning.
    private var nodes: [UInt64] = [1]
    private var handles: [UInt64] = []
    private var unique: UInt64 = 0

    /// - Parameter cache: of all trees.
    init(_ trees: SharedTrees, _ cache: CachePolicy) throws {
        folder = try ScratchFolder()
        self.trees = trees
        let outside = try folder.open()
        host = try HostTree(in: outside)
        let root = host.root
        let file = SharedDescriptor(try root.descriptor.open(at: "a", Self.pathOnly))
        try add(SharedTree(name: name("trees"), root: root, cache: cache))
        // The same once more, as two volumes of a container can have it.
        try add(SharedTree(name: name("ro"), root: root, readOnly: true, cache: cache))
        try add(SharedTree(name: name("d"), root: root, cache: cache))
        try add(SharedTree(name: name("one"), root: file, place: (root, name("a")), cache: cache))
    }

    /// O_PATH, which Glibc's module does not have.
    private static let pathOnly: CInt = 0o10000000

    private func name(_ text: String) throws -> FileName {
        guard let name = FileName(text) else { throw Errno.invalidArgument }
        return name
    }

    private func add(_ tree: SharedTree) throws {
        try trees.add(tree)
        names.append(tree.name)
    }

    /// Takes the trees away from the device.
    /// - Returns: what happened outside of them, if anything did.
    func close() -> String? {
        for name in names { try? trees.remove(name) }
        return host.isAlone ? nil : "something outside of the trees was changed"
    }

    func act(_ input: inout Input) { host.act(&input) }

    // MARK: The guest

    func request(_ input: inout Input, queue: Int) -> DeviceRequest {
        if nodes.count == 1, input.byte() < 224 { return lookup(input.pick(["trees", "trees", "one", "ro", "d"])) }
        let layout = FuseRequests.layouts[input.below(FuseRequests.layouts.count)]
        // At most one field is at a limit.
        let odd = Int(input.byte())
        let size = input.pick([0, 1, 16, 100, 4096, 20000])
        var body = Packed()
        for (number, field) in layout.fields.enumerated() {
            append(field, isOdd: odd == number + 1, size, &input, &body)
        }
        let node = odd == 0xFE ? input.limit() : input.pick(nodes)
        return request(layout.opcode, node, body.bytes, odd == 0xFF ? input.limit() : 0, room: room(&input))
    }

    private func room(_ input: inout Input) -> UInt32 { input.number([4112, 4112, 4112, 160, 16, 0, 30000]) }

    private func append(_ field: FuseField, isOdd: Bool, _ size: Int, _ input: inout Input, _ body: inout Packed) {
        switch field {
        case .u32(let usual): body.put(isOdd ? input.limit() : usual.count == 1 ? usual[0] : input.pick(usual))
        case .u64(let usual): body.put(isOdd ? input.limit() : usual.count == 1 ? usual[0] : input.pick(usual))
        case .node: body.put(isOdd ? input.limit() : input.pick(nodes))
        case .handle: body.put(isOdd || handles.isEmpty ? input.limit() : input.pick(handles))
        case .nullDevice: body.put(0x103 as UInt32)
        case .size: body.put(isOdd ? input.limit() : UInt32(size))
        case .data: body.bytes += input.take(size)
        case .name:
            // Mostly one of a few that are there.
            let choice = input.byte()
            body.bytes += choice < 160 ? FuseRequests.names[Int(choice) % 6] : input.pick(FuseRequests.names)
            if !isOdd { body.put(0 as UInt8) }
        }
    }

    private func lookup(_ name: String) -> DeviceRequest { request(1, 1, Array(name.utf8) + [0], 0, room: 4112) }

    private func request(
        _ opcode: UInt32, _ node: UInt64, _ body: [UInt8], _ wrong: UInt32, room: UInt32
    ) -> DeviceRequest {
        unique += 1
        var header = Packed()
        header.put(UInt32(40 + body.count) &+ wrong)
        header.put(opcode)
        header.put(unique)
        header.put(node)
        for number: UInt32 in [0, 0, 7, 0] { header.put(number) }
        return DeviceRequest(readable: header.bytes + body, writable: room)
    }

    /// Remembers what the answer names.
    func answered(_ request: [UInt8], _ answer: [UInt8]) -> String? {
        guard request.count >= 40 else { return nil }
        if answer.isEmpty { return nil }
        guard answer.count >= 16, number(answer, 0, 4) == UInt64(answer.count) else {
            return "an answer of \(answer.count) bytes says that it has \(number(answer, 0, 4))"
        }
        let error = Int32(truncatingIfNeeded: Int(number(answer, 4, 4)))
        guard error <= 0, error > -4096 else { return "an answer with error \(error)" }
        if error != 0 { return answer.count == 16 ? nil : "an error with \(answer.count) bytes" }
        switch number(request, 4, 4) {
        case 1, 6, 8, 9, 13: keep(node: number(answer, 16, 8))
        case 14, 27: keep(handle: number(answer, 16, 8))
        case 35, 51:
            keep(node: number(answer, 16, 8))
            keep(handle: number(answer, 144, 8))
        default: break
        }
        return nil
    }

    private func number(_ bytes: [UInt8], _ at: Int, _ count: Int) -> UInt64 {
        bytes.dropFirst(at).prefix(count).reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    private func keep(node: UInt64) {
        if nodes.contains(node) { return }
        if nodes.count == 24 { nodes.remove(at: 1) }
        nodes.append(node)
    }

    private func keep(handle: UInt64) {
        if handles.count == 12 { handles.removeFirst() }
        handles.append(handle)
    }
}
