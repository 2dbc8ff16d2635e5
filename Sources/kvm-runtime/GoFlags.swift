/// The command line as runc's callers write it, for Go's flag package, made into what ArgumentParser reads: there `-long` is
/// `--long`, a flag may have a value (`--debug=false`), an option takes the next word whatever it looks like (`--memory -1`),
/// and an empty value is none.
enum GoFlags {
    /// Options with a value, by their names without dashes, of all commands. A test holds this against the commands
    /// themselves.
    static let valued: Set<String> = [
        "root", "log", "log-format", "config", "kernel", "initramfs", "bundle", "b", "pid-file", "console-socket",
        "preserve-fds", "timeline", "cwd", "env", "e", "user", "u", "additional-gids", "g", "process", "p",
        "process-label", "apparmor", "cap", "c", "cgroup", "interval", "resources", "r", "cpu-period", "cpu-quota",
        "cpu-share", "cpu-burst", "cpu-rt-period", "cpu-rt-runtime", "cpu-idle", "cpuset-cpus", "cpuset-mems",
        "memory", "memory-reservation", "memory-swap", "kernel-memory", "kernel-memory-tcp", "pids-limit",
        "blkio-weight", "l3-cache-schema", "mem-bw-schema",
    ]
    /// A value here, a flag elsewhere (`delete -f`).
    private static let formatted: Set<String> = ["list", "ps"]
    /// Behind the container's name nothing is an option of ours.
    private static let passingOn: Set<String> = ["exec", "ps"]
    /// Options of runc that say nothing here: kvm-runtime needs root, and nothing of criu's. Only before the command's name,
    /// for `spec` has a --rootless of its own.
    private static let dropped: Set<String> = ["rootless", "criu"]

    private struct Flag {
        var name: String
        var value: String?

        init?(_ word: String) {
            guard word.hasPrefix("-"), word != "-", word != "--" else { return nil }
            let rest = word.dropFirst(word.hasPrefix("--") ? 2 : 1)
            let parts = rest.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let first = rest.first, first.isLetter, !rest.hasPrefix("=") else { return nil }
            name = String(parts[0])
            value = parts.count > 1 ? String(parts[1]) : nil
        }

        var dashed: String { (name.utf8.count == 1 ? "-" : "--") + name }
    }

    /// With the options before the command's name put right behind it.
    static func normalized(_ arguments: [String], commands: Set<String>) -> [String] {
        // ArgumentParser's own, which runc's callers do not know.
        if arguments.first?.hasPrefix("--generate-completion-script") == true { return arguments }
        var rest = arguments[...]
        var command = ""
        let moved = options(of: &rest, alsoValued: dropped, dropping: dropped) { command = $0 }
        guard commands.contains(command) else {
            // "--root X -v": to ask for the version or for help no container is needed, nor for a command that is none.
            let others = moved.map { $0 == "-v" ? "--version" : $0 }.filter { !$0.contains("=") }
            return (command.isEmpty ? others.filter { !["--debug", "--systemd-cgroup"].contains($0) } : [command])
                + rest
        }
        var result = [command] + moved
        let format: Set<String> = formatted.contains(command) ? ["f", "format"] : []
        while !rest.isEmpty {
            var word: String?
            result += options(of: &rest, alsoValued: format) { word = $0 }
            guard let word else { break }
            result.append(word)
            if passingOn.contains(command) { break }
        }
        return result + rest
    }

    /// The options up to the next word that is none, which `found` is told.
    private static func options(
        of rest: inout ArraySlice<String>, alsoValued: Set<String>, dropping: Set<String> = [],
        found: (String) -> Void
    ) -> [String] {
        var result: [String] = []
        while let word = rest.first, word != "--" {
            rest.removeFirst()
            guard let flag = Flag(word) else {
                found(word)
                break
            }
            if valued.contains(flag.name) || alsoValued.contains(flag.name) {
                guard let value = flag.value ?? rest.popFirst() else {
                    result.append(flag.dashed)
                    break
                }
                if !value.isEmpty, !dropping.contains(flag.name) { result.append("\(flag.dashed)=\(value)") }
            } else {
                switch flag.value {
                case nil: result.append(flag.dashed)
                case "true", "True", "TRUE", "1", "t", "T": result.append(flag.dashed)
                case "false", "False", "FALSE", "0", "f", "F": break
                default: result.append("\(flag.dashed)=\(flag.value ?? "")")
                }
            }
        }
        return result
    }
}
