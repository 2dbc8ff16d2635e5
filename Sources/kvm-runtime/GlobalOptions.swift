import ArgumentParser
import LinuxSys
import Runtime

enum Version {
    static let number = "0.1.0"
    /// As runc prints it: name and version, then the version of the specification.
    static let text = "kvm-runtime version \(number)\nspec: 1.3.0"
}

extension Log.Format: ExpressibleByArgument {}
extension ShowList.Format: ExpressibleByArgument {}

/// The options of every command. runc takes them before the command's name, so they are taken there too.
struct GlobalOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Root directory for the state of containers.", valueName: "dir"))
    var root: String?

    @Option(help: ArgumentHelp("Write errors and warnings to this file.", valueName: "file"))
    var log: String?

    @Option(name: .customLong("log-format"), help: "The form of the log: text or json.")
    var logFormat: Log.Format = .text

    @Flag(help: "Write debug messages to the log.")
    var debug = false

    @Flag(name: .customLong("systemd-cgroup"), help: "cgroupsPath has systemd's form, slice:prefix:name.")
    var systemdCgroup = false

    @Option(help: ArgumentHelp("Configuration file.", valueName: "file"))
    var config: String?

    @Option(help: ArgumentHelp("Guest kernel (vmlinux).", valueName: "file"))
    var kernel: String?

    @Option(help: ArgumentHelp("Guest agent's initramfs.", valueName: "file"))
    var initramfs: String?

    func openLog() throws(RuntimeError) -> Log { try Log(file: log, format: logFormat, debug: debug) }

    func context(log: Log) throws(RuntimeError) -> RuntimeContext {
        let configuration = try Configuration.load(from: config)
        return try RuntimeContext(
            root: root, log: log, configuration: configuration,
            assets: Assets(configuration, kernel: kernel, initramfs: initramfs), systemdCgroup: systemdCgroup)
    }
}
