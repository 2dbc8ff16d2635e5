import JSON

extension Spec {
    /// Checks what the values mean: what the specification demands in words, and what runc demands besides.
    ///
    /// Nothing is looked up on the host here; whether root.path exists is for the caller to see. What is valid may
    /// still be something that kvm-runtime can't do: see `refusals()`.
    public func validate() throws(SpecError) {
        try validateVersion()
        try Check.noNUL(json, .root(""))
        guard let process else { throw Check.fail("process", "is missing") }
        try process.validate()
        guard let root else { throw Check.fail("root", "is missing") }
        try Check.path(root.path, "root.path")
        try validateNames()
        for (index, mount) in mounts.enumerated() {
            try mount.validate(path: "mounts[\(index)]")
            let asks = mount.parsedOptions.extensions.contains(.idMap)
            guard !asks || !mount.uidMappings.isEmpty || !(linux?.uidMappings.isEmpty ?? true) else {
                throw Check.fail("mounts[\(index)].options", "idmap needs uidMappings and gidMappings")
            }
        }
        try hooks?.validate(path: "hooks")
        guard annotations[""] == nil else { throw Check.fail("annotations", "contains an empty key") }
        try linux?.validate()
    }

    /// Any version 1 will do. A newer minor version only adds fields (SemVer), and a runtime must ignore fields that
    /// it doesn't know; to refuse it would stop every container on the day its manager is upgraded. runc looks at
    /// nothing at all.
    private func validateVersion() throws(SpecError) {
        guard let version = SpecVersion(ociVersion) else {
            throw Check.fail("ociVersion", "must be a version such as 1.0.2, and is \(JSONText.quoted(ociVersion))")
        }
        guard version.major == 1 else {
            throw Check.fail(
                "ociVersion",
                "\(JSONText.quoted(ociVersion)) is not supported (\(SpecVersion.oldest) to \(SpecVersion.current) are)")
        }
    }

    private func validateNames() throws(SpecError) {
        for (name, path) in [(hostname, "hostname"), (domainname, "domainname")] where !name.isEmpty {
            // __NEW_UTS_LEN
            guard name.utf8.count <= 64 else {
                throw Check.fail(path, "has \(name.utf8.count) bytes, allowed are 64")
            }
            guard linux?.namespaceKinds.contains(.uts) == true else {
                throw Check.fail(path, "needs a uts namespace in linux.namespaces")
            }
        }
    }
}

extension Mount {
    func validate(path: String) throws(SpecError) {
        try Check.path(destination, "\(path).destination")
        guard containerPath != "/" || parsedOptions.setFlags.contains(.remount) else {
            throw Check.fail("\(path).destination", "is the container's root, which is there already (root.path)")
        }
        try IDMapping.validate(uidMappings, path: "\(path).uidMappings")
        try IDMapping.validate(gidMappings, path: "\(path).gidMappings")
        guard uidMappings.isEmpty == gidMappings.isEmpty else {
            throw Check.fail("\(path).uidMappings", "and gidMappings go together")
        }
        if isBind {
            try Check.path(source, "\(path).source")
        }
        let bytes = parsedOptions.data.utf8.count
        // mount(2) takes a page.
        guard bytes <= 4095 else {
            throw Check.fail("\(path).options", "have \(bytes) bytes for the file system, allowed are 4095")
        }
    }
}

extension IDMapping {
    /// As many as the kernel takes (UID_GID_MAP_MAX_EXTENTS), each within what an id can be, none of them twice.
    static func validate(_ mappings: [IDMapping], path: String) throws(SpecError) {
        guard mappings.count <= 340 else {
            throw Check.fail(path, "has \(mappings.count) ranges, the kernel takes 340")
        }
        for (index, mapping) in mappings.enumerated() {
            let last = UInt64(max(mapping.containerID, mapping.hostID)) + UInt64(mapping.size)
            guard mapping.size > 0, last <= UInt64(UInt32.max) else {
                throw Check.fail("\(path)[\(index)].size", "\(mapping.size) is no size of a range of ids")
            }
            for other in mappings[..<index] where mapping.overlaps(other) {
                throw Check.fail("\(path)[\(index)]", "overlaps another range")
            }
        }
    }

    private func overlaps(_ other: IDMapping) -> Bool {
        func meet(_ one: UInt32, _ two: UInt32) -> Bool {
            UInt64(one) < UInt64(two) + UInt64(other.size) && UInt64(two) < UInt64(one) + UInt64(size)
        }
        return meet(containerID, other.containerID) || meet(hostID, other.hostID)
    }
}

extension Hooks {
    func validate(path: String) throws(SpecError) {
        for (kind, hooks) in all {
            for (index, hook) in hooks.enumerated() {
                try Check.absolutePath(hook.path, "\(path).\(kind)[\(index)].path")
                guard hook.timeout.map({ $0 > 0 }) ?? true else {
                    throw Check.fail("\(path).\(kind)[\(index)].timeout", "must be greater than 0")
                }
            }
        }
    }
}
