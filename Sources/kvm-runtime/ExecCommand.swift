import ArgumentParser
import Runtime

struct ExecCommand: Verb {
    static let configuration = CommandConfiguration(
        commandName: "exec", abstract: "Run another process in a container.",
        discussion: "The process's exit code is that of the command; 255 if it could not be run.")

    @OptionGroup var global: GlobalOptions
    @Option(
        name: .customLong("console-socket"),
        help: ArgumentHelp("Unix socket that receives the terminal's master.", valueName: "socket"))
    var consoleSocket: String?
    @Option(help: ArgumentHelp("Current directory in the container.", valueName: "dir")) var cwd: String?
    @Option(name: [.short, .long], help: ArgumentHelp("NAME=VALUE, more than once.", valueName: "env"))
    var env: [String] = []
    @Flag(name: [.short, .long], help: "Allocate a terminal.") var tty = false
    @Option(name: [.short, .long], help: ArgumentHelp("UID[:GID].", valueName: "user")) var user: String?
    @Option(
        name: [.customLong("additional-gids"), .customShort("g")],
        help: ArgumentHelp("Another group, more than once.", valueName: "gid"))
    var additionalGids: [UInt32] = []
    @Option(name: [.short, .long], help: ArgumentHelp("process.json, in the place of options.", valueName: "file"))
    var process: String?
    @Flag(name: [.short, .long], help: "Detach from the process.") var detach = false
    @Option(
        name: .customLong("pid-file"), help: ArgumentHelp("Write the process id to this file.", valueName: "file"))
    var pidFile: String?
    @Option(name: .customLong("process-label"), help: ArgumentHelp("SELinux label.", valueName: "label"))
    var processLabel: String?
    @Option(help: ArgumentHelp("AppArmor profile.", valueName: "profile")) var apparmor: String?
    @Flag(name: .customLong("no-new-privs"), help: "Set no_new_privs.") var noNewPrivileges = false
    @Option(
        name: [.customShort("c"), .customLong("cap")],
        help: ArgumentHelp("Add a capability, more than once.", valueName: "capability"))
    var capabilities: [String] = []
    @Option(
        name: .customLong("preserve-fds"),
        help: ArgumentHelp("Hand on this many descriptors from 3 on: pipes, stream sockets, files.", valueName: "n"))
    var preserveFds = 0
    @Option(help: ArgumentHelp("A cgroup below the container's, which exists.", valueName: "path"))
    var cgroup: [String] = []
    @Flag(name: .customLong("ignore-paused"), help: "Run it in a paused container too.") var ignorePaused = false
    @Argument var id: String
    @Argument(parsing: .captureForPassthrough, help: "The program and its arguments.") var command: [String] = []

    var handedOn: Int { HandedDescriptors.total(asked: preserveFds) }
    var failureCode: Int32 { 255 }

    mutating func execute(_ context: RuntimeContext) throws(RuntimeError) -> Int32 {
        guard cgroup.count < 2 else {
            throw RuntimeError("--cgroup: a guest has cgroup v2, and a process one place in it", exitCode: 255)
        }
        var options = ExecOptions(id: id)
        options.arguments = command
        options.processFile = process
        options.cwd = cwd
        options.environment = env
        options.user = user
        options.additionalGids = additionalGids
        options.capabilities = capabilities
        options.noNewPrivileges = noNewPrivileges
        options.terminal = tty
        options.detach = detach
        options.pidFile = pidFile
        options.consoleSocket = consoleSocket
        options.ignorePaused = ignorePaused
        options.preserveFds = preserveFds
        options.cgroup = cgroup.first
        options.appArmor = apparmor
        options.label = processLabel
        return try Exec.run(context, options)
    }
}
