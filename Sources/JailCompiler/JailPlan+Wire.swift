import AgentProtocol
import OCISpec

extension JailPlan {
    /// The plan as the guest's `FlatPlan` takes it: fixed fields little-endian, texts with their lengths and a zero.
    public var encoded: [UInt8] {
        var writer = WireWriter()
        writer.put(namespaces)
        writer.put(terminated: rootfs)
        writer.put(rootReadOnly)
        writer.put(UInt64(rootPropagation.rawValue))
        writer.put(terminated: timeOffsets)
        writer.put(terminated: uidMap)
        writer.put(terminated: gidMap)
        writer.put(UInt32(operations.count))
        for operation in operations { operation.write(to: &writer) }
        writer.put(UInt32(lateOperations))
        process.write(to: &writer)
        writer.put(terminated: state.head)
        writer.put(terminated: state.tail)
        writer.put(UInt32(hooks.count))
        for hook in hooks {
            writer.put(terminated: hook.path)
            writer.put(terminated: hook.arguments)
            writer.put(terminated: hook.environment)
            writer.put(hook.timeout)
        }
        return writer.bytes
    }
}

extension JailProcess {
    func write(to writer: inout WireWriter) {
        writer.put(terminated: arguments)
        writer.put(terminated: environment)
        writer.put(terminated: cwd)
        writer.put(terminal != nil)
        writer.put(terminal?.rows ?? 0)
        writer.put(terminal?.columns ?? 0)
        writer.put(uid)
        writer.put(gid)
        writer.put(outerUID)
        writer.put(UInt32(groups.count))
        for group in groups { writer.put(group) }
        writer.put(umask)
        writer.put(noNewPrivileges)
        let sets = capabilities
        for set in [sets.bounding, sets.effective, sets.permitted, sets.inheritable, sets.ambient] {
            writer.put(set.rawValue)
        }
        writer.put(UInt32(limits.count))
        for limit in limits {
            writer.put(limit.resource)
            writer.put(limit.soft)
            writer.put(limit.hard)
        }
        writer.put(filter?.program ?? [])
        writer.put(filter?.flags ?? 0)
        writer.put(oomScore)
        writer.put(scheduling != nil)
        if let scheduling { scheduling.write(to: &writer) }
        writer.put(ioPriority)
        writer.put(personality)
        writer.put(memoryPolicy != nil)
        if let memoryPolicy {
            writer.put(memoryPolicy.mode)
            writer.put(memoryPolicy.nodes)
        }
        for words in [initialCPUs, finalCPUs] {
            writer.put(UInt32(words.count))
            for word in words { writer.put(word) }
        }
    }
}

extension SchedulingAttributes {
    /// As `struct cjail_scheduling` has it.
    fileprivate func write(to writer: inout WireWriter) {
        writer.put(policy)
        writer.put(flags)
        writer.put(nice)
        writer.put(priority)
        writer.put(runtime)
        writer.put(deadline)
        writer.put(period)
    }
}

extension JailOperation {
    /// One step in the form of `cjail_op`. Which fields count is up to the kind; the others are empty.
    private struct Fields {
        var kind: JailOperationKind
        var option = false
        var source = ""
        var fileSystem = FileSystem(type: "", source: "")
        var node = Node(mode: 0, major: 0, minor: 0)
    }

    func write(to writer: inout WireWriter) {
        let fields = fields
        writer.put(fields.kind.rawValue)
        writer.put(fields.option)
        writer.put(UInt64(fields.fileSystem.flags.rawValue))
        writer.put(attributes.set.rawValue)
        writer.put(attributes.clear.rawValue)
        writer.put(attributes.recursiveSet.rawValue)
        writer.put(attributes.recursiveClear.rawValue)
        writer.put(fields.node.device)
        writer.put(fields.node.mode)
        writer.put(fields.node.uid)
        writer.put(fields.node.gid)
        writer.put(terminated: fields.source)
        writer.put(terminated: target)
        writer.put(terminated: fields.fileSystem.type)
        writer.put(terminated: fields.fileSystem.data)
    }

    private var fields: Fields {
        switch action {
        case .mount(let fileSystem): Fields(kind: .mount, source: fileSystem.source, fileSystem: fileSystem)
        case .copyUp(let fileSystem): Fields(kind: .copyUp, source: fileSystem.source, fileSystem: fileSystem)
        case .bind(let source, let recursive): Fields(kind: .bind, option: recursive, source: source)
        case .socket(let name): Fields(kind: .socket, source: name)
        case .remount(let flags, let data):
            Fields(kind: .remount, fileSystem: FileSystem(type: "", source: "", flags: flags, data: data))
        case .attributes: Fields(kind: .attributes)
        case .propagation(let flags):
            Fields(kind: .propagation, fileSystem: FileSystem(type: "", source: "", flags: flags))
        case .device(let node, let presence):
            Fields(
                kind: .device, option: presence == .ofTheGuest,
                fileSystem: FileSystem(type: "", source: "", flags: presence.flags),
                node: node)
        case .guestDevices: Fields(kind: .guestDevices)
        case .symlink(let destination, let replacing): Fields(kind: .symlink, option: replacing, source: destination)
        case .mask: Fields(kind: .mask)
        case .readOnly: Fields(kind: .readOnly)
        case .sysctl(let value): Fields(kind: .sysctl, source: value)
        case .loopback: Fields(kind: .loopback)
        case .hostname(let name): Fields(kind: .hostname, source: name)
        case .domainname(let name): Fields(kind: .domainname, source: name)
        }
    }
}

extension JailOperation.Presence {
    /// CJAIL_DEVICE_…
    fileprivate var flags: MountFlags {
        switch self {
        case .unlessNamed, .ofTheGuest: []
        case .exactly: MountFlags(rawValue: 1)
        case .mounted: MountFlags(rawValue: 2)
        }
    }
}

extension WireWriter {
    fileprivate mutating func put(terminated values: [String]) {
        put(UInt32(values.count))
        for value in values { put(terminated: value) }
    }
}
