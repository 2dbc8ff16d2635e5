import JSON

extension Linux {
    func validate(path: String = "linux") throws(SpecError) {
        try validateNamespaces(path: "\(path).namespaces")
        for (index, device) in devices.enumerated() {
            try device.validate(path: "\(path).devices[\(index)]")
        }
        try seccomp?.validate(path: "\(path).seccomp")
        for key in sysctl.keys.sorted() {
            guard SysctlKey.path(of: key) != nil else {
                throw Check.fail("\(path).sysctl", "\(JSONText.quoted(key)) is no name of a sysctl")
            }
            guard SysctlKey.path(of: key) != "kernel/hostname" else {
                throw Check.fail("\(path).sysctl", "\"kernel.hostname\" is to be given as hostname")
            }
        }
        if !cgroupsPath.isEmpty {
            try Check.path(cgroupsPath, "\(path).cgroupsPath")
            try Check.noParentDirectory(cgroupsPath, "\(path).cgroupsPath")
        }
        try Check.absolutePaths(maskedPaths, "\(path).maskedPaths")
        try Check.absolutePaths(readonlyPaths, "\(path).readonlyPaths")
        guard rootfsPropagation.isEmpty || MountFlags.propagation(named: rootfsPropagation) != nil else {
            throw Check.fail("\(path).rootfsPropagation", "unknown propagation \(JSONText.quoted(rootfsPropagation))")
        }
        try resources?.validate(path: "\(path).resources")
        try IDMapping.validate(uidMappings, path: "\(path).uidMappings")
        try IDMapping.validate(gidMappings, path: "\(path).gidMappings")
        let user = namespaces.first { $0.type == .user }
        let isMapped = user?.path.isEmpty ?? false
        // Of a namespace of another's they say what is known of it, or nothing.
        let isJoined = user.map { !$0.path.isEmpty } ?? false
        let isGiven = !uidMappings.isEmpty
        guard isGiven == !gidMappings.isEmpty, isGiven == isMapped || isJoined else {
            throw Check.fail(
                "\(path).uidMappings", "and gidMappings go together with a user namespace in linux.namespaces")
        }
        guard !isGiven || uidMappings.outer(0) != nil && gidMappings.outer(0) != nil else {
            throw Check.fail("\(path).uidMappings", "and gidMappings must map the container's root")
        }
        if let domain = personality?.domain, !Personality.domains.keys.contains(domain) {
            throw Check.fail("\(path).personality.domain", "unknown domain \(Check.quoted(domain))")
        }
        try memoryPolicy?.validate(path: "\(path).memoryPolicy")
        for name in timeOffsets.keys.sorted() where !["monotonic", "boottime"].contains(name) {
            throw Check.fail("\(path).timeOffsets", "\(Check.quoted(name)) is no clock of a time namespace")
        }
        let isOffset = timeOffsets.values.contains { $0.secs != 0 || $0.nanosecs != 0 }
        guard !isOffset || namespaceKinds.contains(.time) else {
            throw Check.fail("\(path).timeOffsets", "need a time namespace in linux.namespaces")
        }
    }

    private func validateNamespaces(path: String) throws(SpecError) {
        var seen: Set<Namespace.Kind> = []
        for (index, namespace) in namespaces.enumerated() {
            guard seen.insert(namespace.type).inserted else {
                throw Check.fail("\(path)[\(index)].type", "\(namespace.type.rawValue) occurs twice")
            }
            if !namespace.path.isEmpty {
                try Check.absolutePath(namespace.path, "\(path)[\(index)].path")
            }
        }
        guard seen.contains(.mount) || (maskedPaths.isEmpty && readonlyPaths.isEmpty) else {
            throw Check.fail(path, "maskedPaths and readonlyPaths need a mount namespace")
        }
    }
}

extension Linux.Device {
    func validate(path: String) throws(SpecError) {
        try Check.absolutePath(self.path, "\(path).path")
        // The kernel's MINORBITS is 20, which leaves 12 bits of 32.
        guard (0..<1 << 12).contains(major) else {
            throw Check.fail("\(path).major", "\(major) is out of range (0 to 4095)")
        }
        guard (0..<1 << 20).contains(minor) else {
            throw Check.fail("\(path).minor", "\(minor) is out of range (0 to 1048575)")
        }
        guard uid != .max else { throw Check.fail("\(path).uid", "4294967295 is no user") }
        guard gid != .max else { throw Check.fail("\(path).gid", "4294967295 is no group") }
    }
}

extension Linux.Resources {
    /// Checks the limits of a container, or those that `update` is given.
    public func validate(path: String = "linux.resources") throws(SpecError) {
        try Check.noNUL(json, .root(path))
        for (index, rule) in devices.enumerated() {
            guard ["", "a", "b", "c"].contains(rule.type) else {
                throw Check.fail("\(path).devices[\(index)].type", "unknown device type \(JSONText.quoted(rule.type))")
            }
            guard rule.access.utf8.allSatisfy("rwm".utf8.contains) else {
                throw Check.fail(
                    "\(path).devices[\(index)].access",
                    "must be of the letters r, w and m, and is \(JSONText.quoted(rule.access))")
            }
        }
        try memory?.validate(path: "\(path).memory")
        try Check.numberList(cpu?.cpus ?? "", "\(path).cpu.cpus")
        try Check.numberList(cpu?.mems ?? "", "\(path).cpu.mems")
        for key in unified.keys.sorted() {
            guard Self.isControllerFile(key) else {
                throw Check.fail("\(path).unified", "\(JSONText.quoted(key)) is not of the form CONTROLLER.PARAMETER")
            }
        }
    }

    /// "memory.high": a file of cgroup v2 below the container's own directory, which no slash may lead out of.
    private static func isControllerFile(_ name: String) -> Bool {
        let parts = name.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        return name.utf8.count <= Check.nameBytes && parts.count >= 2
            && parts.allSatisfy { part in
                !part.isEmpty
                    && part.allSatisfy { byte in
                        switch byte {
                        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
                            true
                        default: false
                        }
                    }
            }
    }
}

extension Linux.Resources.Memory {
    func validate(path: String) throws(SpecError) {
        let values = [("limit", limit), ("reservation", reservation), ("swap", swap)]
        for (name, value) in values {
            if let value, value < -1 {
                throw Check.fail("\(path).\(name)", "\(value) is neither a size nor -1")
            }
        }
        if let swap, let limit, swap > 0, limit > 0, swap < limit {
            throw Check.fail("\(path).swap", "\(swap) is less than the limit of memory alone, \(limit)")
        }
    }
}
