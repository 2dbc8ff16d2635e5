import CJail
import CLinux
import OCISpec

/// A plan as C has it: structs, strings and arrays at fixed addresses, freed with this object. The one place of the
/// agent that handles pointers.
final class FlatPlan {
    private var allocations: [UnsafeMutableRawPointer] = []
    private(set) var plan = cjail_plan()

    init(_ source: JailPlan) {
        plan.namespaces = source.namespaces
        plan.cgroup = -1
        plan.share = UnsafePointer(string(source.share))
        plan.rootfs = UnsafePointer(string(source.rootfs))
        plan.root = UnsafePointer(string(source.root))
        plan.root_readonly = source.rootReadOnly ? 1 : 0
        plan.root_propagation = UInt64(source.rootPropagation.rawValue)
        plan.ops = UnsafePointer(array(source.operations.map(flatten)))
        plan.op_count = source.operations.count
        flatten(source.process)
    }

    deinit { for allocation in allocations { free(allocation) } }

    /// Makes the child; `stdio` and `cgroup` are descriptors, -1 for none.
    func spawn(stdio: (CInt, CInt, CInt), cgroup: CInt, sync: CInt) -> pid_t {
        plan.stdio = stdio
        plan.cgroup = cgroup
        return cjail_spawn(&plan, sync)
    }

    private func flatten(_ process: JailProcess) {
        plan.arguments = UnsafePointer(array(process.arguments.map(string) + [nil]))
        // The free slot behind the end is for HOME.
        plan.environment = array(process.environment.map(string) + [nil, nil])
        plan.cwd = UnsafePointer(string(process.cwd))
        if let terminal = process.terminal {
            plan.terminal = 1
            plan.rows = terminal.rows
            plan.columns = terminal.columns
        }
        plan.uid = process.uid
        plan.gid = process.gid
        plan.groups = UnsafePointer(array(process.groups))
        plan.group_count = process.groups.count
        if let umask = process.umask {
            plan.has_umask = 1
            plan.umask = umask
        }
        plan.no_new_privileges = process.noNewPrivileges ? 1 : 0
        plan.bounding = process.capabilities.bounding.rawValue
        plan.effective = process.capabilities.effective.rawValue
        plan.permitted = process.capabilities.permitted.rawValue
        plan.inheritable = process.capabilities.inheritable.rawValue
        plan.ambient = process.capabilities.ambient.rawValue
        let limits = process.limits.map { cjail_limit(resource: $0.resource, soft: $0.soft, hard: $0.hard) }
        plan.limits = UnsafePointer(array(limits))
        plan.limit_count = limits.count
    }

    private func flatten(_ operation: JailOperation) -> cjail_op {
        var op = cjail_op()
        op.target = UnsafePointer(string(operation.target))
        op.attr_set = operation.attributes.set.rawValue
        op.attr_clear = operation.attributes.clear.rawValue
        op.rattr_set = operation.attributes.recursiveSet.rawValue
        op.rattr_clear = operation.attributes.recursiveClear.rawValue
        switch operation.action {
        case .mount(let fileSystem): set(&op, CJAIL_OP_MOUNT, fileSystem)
        case .copyUp(let fileSystem): set(&op, CJAIL_OP_COPY_UP, fileSystem)
        case .bind(let source, let recursive):
            set(&op, CJAIL_OP_BIND, source)
            op.option = recursive ? UInt32(CJAIL_RECURSIVE) : 0
        case .remount(let flags, let data):
            set(&op, CJAIL_OP_REMOUNT)
            op.flags = UInt64(flags.rawValue)
            op.data = UnsafePointer(string(data))
        case .attributes: set(&op, CJAIL_OP_ATTRIBUTES)
        case .propagation(let flags):
            set(&op, CJAIL_OP_PROPAGATION)
            op.flags = UInt64(flags.rawValue)
        case .device(let node):
            set(&op, CJAIL_OP_DEVICE)
            op.mode = node.mode
            op.rdev = node.device
            op.uid = node.uid
            op.gid = node.gid
        case .symlink(let destination, let replacing):
            set(&op, CJAIL_OP_SYMLINK, destination)
            op.option = replacing ? UInt32(CJAIL_REPLACE) : 0
        case .mask: set(&op, CJAIL_OP_MASK)
        case .readOnly: set(&op, CJAIL_OP_READONLY)
        case .sysctl(let value): set(&op, CJAIL_OP_SYSCTL, value)
        case .loopback: set(&op, CJAIL_OP_LOOPBACK)
        case .hostname(let name): set(&op, CJAIL_OP_HOSTNAME, name)
        case .domainname(let name): set(&op, CJAIL_OP_DOMAINNAME, name)
        case .oomScore(let score): set(&op, CJAIL_OP_OOM_SCORE, String(score))
        }
        return op
    }

    private func set(_ op: inout cjail_op, _ kind: cjail_op_kind, _ source: String = "") {
        op.kind = kind.rawValue
        op.source = UnsafePointer(string(source))
    }

    private func set(_ op: inout cjail_op, _ kind: cjail_op_kind, _ fileSystem: JailOperation.FileSystem) {
        set(&op, kind, fileSystem.source)
        op.type = UnsafePointer(string(fileSystem.type))
        op.flags = UInt64(fileSystem.flags.rawValue)
        op.data = UnsafePointer(string(fileSystem.data))
    }

    private func string(_ text: String) -> UnsafeMutablePointer<CChar>? {
        guard let copy = strdup(text) else { return nil }
        allocations.append(UnsafeMutableRawPointer(copy))
        return copy
    }

    private func array<Element>(_ elements: [Element]) -> UnsafeMutablePointer<Element> {
        let copy = UnsafeMutablePointer<Element>.allocate(capacity: max(1, elements.count))
        copy.initialize(from: elements, count: elements.count)
        allocations.append(UnsafeMutableRawPointer(copy))
        return copy
    }
}
