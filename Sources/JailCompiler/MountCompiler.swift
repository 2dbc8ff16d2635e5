import OCISpec

/// Turns `mounts` into steps.
struct MountCompiler {
    /// By the index of the mount: where its source is, below the share.
    let binds: [Int: String]
    let sockets: Set<Int>
    let devices: [Int: JailOperation.Node]
    let inherited: [Int: MountAttributes]
    private(set) var operations: [JailOperation] = []
    /// What waits until everything else is in place: a read-only tmpfs gets its mount points and devices first.
    private(set) var atTheEnd: [JailOperation] = []
    private(set) var bindsDev = false

    init(_ place: JailPlace) {
        binds = place.binds
        sockets = place.sockets
        devices = place.devices
        inherited = place.inherited
    }

    mutating func add(_ mount: Mount, index: Int) throws(SpecError) {
        let options = mount.parsedOptions
        let target = mount.containerPath
        let subject = "mounts[\(index)] to \(quoted(target))"
        var attributes = JailOperation.Attributes()
        attributes.recursiveSet = options.recursiveSet
        attributes.recursiveClear = options.recursiveClear

        if options.setFlags.contains(.bind) || mount.isOverlay {
            (attributes.set, attributes.clear) = Self.attributes(of: options)
            // What the source's own mount has stays, unless the options say the opposite.
            attributes.set.formUnion((inherited[index] ?? []).subtracting(attributes.clear))
            if options.setFlags.contains(.remount) {
                operations.append(JailOperation(.attributes, target: target, attributes: attributes, subject: subject))
            } else if sockets.contains(index) {
                operations.append(
                    JailOperation(.socket(name: "\(index)"), target: target, attributes: attributes, subject: subject))
            } else if let node = devices[index] {
                operations.append(
                    JailOperation(.device(node, .mounted), target: target, attributes: attributes, subject: subject))
            } else {
                guard let source = binds[index] else {
                    throw SpecError(path: "mounts[\(index)].source", message: "is not in the guest's share")
                }
                let recursive = options.setFlags.contains(.recursive)
                operations.append(
                    JailOperation(
                        .bind(source: source, recursive: recursive), target: target, attributes: attributes,
                        subject: subject))
                if Self.isDev(target) { bindsDev = true }
            }
        } else if options.setFlags.contains(.remount) {
            let flags = options.setFlags.subtracting(.remount)
            operations.append(
                JailOperation(.remount(flags: flags, data: options.data), target: target, subject: subject))
        } else {
            addFileSystem(mount, options, attributes, subject: subject)
        }
        for flags in options.propagation {
            operations.append(JailOperation(.propagation(flags), target: target, subject: subject))
        }
    }

    private mutating func addFileSystem(
        _ mount: Mount, _ options: MountOptions, _ attributes: JailOperation.Attributes, subject: String
    ) {
        let target = mount.containerPath
        // The guest has cgroup v2 only; a mount of type "cgroup" is how configurations ask for whatever there is.
        let type = mount.type == "cgroup" ? "cgroup2" : mount.type
        var flags = options.setFlags
        if flags.contains(.readOnly), type == "tmpfs" || Self.isDev(target) {
            flags.remove(.readOnly)
            var readOnly = JailOperation.Attributes()
            readOnly.set = .readOnly
            atTheEnd.append(JailOperation(.attributes, target: target, attributes: readOnly, subject: subject))
        }
        let source = mount.source.isEmpty ? mount.type : mount.source
        let fileSystem = JailOperation.FileSystem(type: type, source: source, flags: flags, data: options.data)
        let subject = "\(subject) (\(type)\(options.data.isEmpty ? "" : ", \(options.data)"))"
        if type == "tmpfs", options.extensions.contains(.copyUp) {
            operations.append(
                JailOperation(.copyUp(fileSystem), target: target, attributes: attributes, subject: subject))
        } else {
            operations.append(
                JailOperation(.mount(fileSystem), target: target, attributes: attributes, subject: subject))
        }
    }

    private static func isDev(_ target: String) -> Bool {
        target.utf8.split(separator: UInt8(ascii: "/")).elementsEqual(["dev"], by: { $0.elementsEqual($1.utf8) })
    }

    /// The flags of a bind mount, which mount(2) would only take in a second call, as attributes of the mount.
    static func attributes(of options: MountOptions) -> (set: MountAttributes, clear: MountAttributes) {
        let pairs: [(MountFlags, MountAttributes)] = [
            (.readOnly, .readOnly), (.noSuid, .noSuid), (.noDev, .noDev), (.noExec, .noExec),
            (.noDirAtime, .noDirAtime), (.noSymFollow, .noSymFollow),
        ]
        var set: MountAttributes = []
        var clear: MountAttributes = []
        for (flag, attribute) in pairs {
            if options.setFlags.contains(flag) { set.insert(attribute) }
            if options.clearFlags.contains(flag) { clear.insert(attribute) }
        }
        // The times of access share a field of which relatime is the zero; it is cleared as a whole.
        if options.setFlags.contains(.noAtime) {
            set.insert(.noAtime)
            clear.insert(.atime)
        } else if options.setFlags.contains(.strictAtime) {
            set.insert(.strictAtime)
            clear.insert(.atime)
        } else if options.setFlags.contains(.relAtime) || options.clearFlags.contains(.noAtime) {
            clear.insert(.atime)
        }
        return (set, clear)
    }
}
