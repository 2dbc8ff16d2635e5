import JSON

extension Process {
    /// Checks the process of a container or of an exec. `path` is what the paths of errors begin with.
    public func validate(path: String = "process") throws(SpecError) {
        try Check.noNUL(json, .root(path))
        guard !args.isEmpty else { throw Check.fail("\(path).args", "must not be empty") }
        try Check.absolutePath(cwd, "\(path).cwd")
        try Check.environment(env, "\(path).env")
        try user.validate(path: "\(path).user")
        _ = try capabilities?.sets(path: "\(path).capabilities")
        try validateRlimits(path: "\(path).rlimits")
        if let consoleSize {
            try Self.validate(consoleSize.height, path: "\(path).consoleSize.height")
            try Self.validate(consoleSize.width, path: "\(path).consoleSize.width")
        }
        if let oomScoreAdj, !(-1000...1000).contains(oomScoreAdj) {
            throw Check.fail("\(path).oomScoreAdj", "\(oomScoreAdj) is out of range (-1000 to 1000)")
        }
        try scheduler?.validate(path: "\(path).scheduler")
        try ioPriority?.validate(path: "\(path).ioPriority")
        for (name, list) in [("initial", execCPUAffinity?.initial ?? ""), ("final", execCPUAffinity?.final ?? "")]
        where !list.isEmpty && NumberList.numbers(in: list) == nil {
            throw Check.fail(
                "\(path).execCPUAffinity.\(name)", "must be a list such as 0-3,7, and is \(Check.quoted(list))")
        }
    }

    private func validateRlimits(path: String) throws(SpecError) {
        var seen: Set<Int32> = []
        for (index, rlimit) in rlimits.enumerated() {
            guard let resource = rlimit.resource else {
                throw Check.fail("\(path)[\(index)].type", "unknown rlimit \(JSONText.quoted(rlimit.type))")
            }
            guard seen.insert(resource).inserted else {
                throw Check.fail("\(path)[\(index)].type", "\(rlimit.type) occurs twice")
            }
            guard rlimit.soft <= rlimit.hard else {
                throw Check.fail(
                    "\(path)[\(index)].soft", "\(rlimit.soft) is more than the hard limit, \(rlimit.hard)")
            }
        }
    }

    /// struct winsize has 16 bits for each.
    private static func validate(_ size: UInt, path: String) throws(SpecError) {
        guard size <= UInt16.max else { throw Check.fail(path, "\(size) is out of range (0 to \(UInt16.max))") }
    }
}

extension Process.User {
    /// NGROUPS_MAX
    private static let mostGroups = 65536

    /// 4294967295 is -1, which setresuid(2) takes for "leave it as it is": the process would stay root.
    func validate(path: String) throws(SpecError) {
        guard uid != .max else { throw Check.fail("\(path).uid", "4294967295 is no user") }
        guard gid != .max else { throw Check.fail("\(path).gid", "4294967295 is no group") }
        guard additionalGids.count <= Self.mostGroups else {
            throw Check.fail(
                "\(path).additionalGids", "has \(additionalGids.count) groups, allowed are \(Self.mostGroups)")
        }
        if let index = additionalGids.firstIndex(of: .max) {
            throw Check.fail("\(path).additionalGids[\(index)]", "4294967295 is no group")
        }
    }
}
