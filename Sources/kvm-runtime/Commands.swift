import ArgumentParser
import Runtime

/// The options that `create` and `run` share.
struct BundleOptions: ParsableArguments {
    @Option(name: [.short, .long], help: ArgumentHelp("Path to the bundle's directory.", valueName: "dir"))
    var bundle = "."

    @Option(
        name: .customLong("pid-file"),
        help: ArgumentHelp("Write the container's process id to this file.", valueName: "file"))
    var pidFile: String?

    @Option(
        name: .customLong("console-socket"),
        help: ArgumentHelp("Unix socket that receives the terminal's master.", valueName: "socket"))
    var consoleSocket: String?

    @Option(
        name: .customLong("preserve-fds"),
        help: ArgumentHelp("Hand on this many descriptors from 3 on: pipes, stream sockets, files.", valueName: "n"))
    var preserveFds = 0

    @Flag(name: .customLong("no-pivot"), help: "Without effect: in a guest pivot_root always works.") var noPivot =
        false
    @Flag(
        name: .customLong("no-new-keyring"),
        help: "Without effect: the caller's keyring is on the host, the container's in the guest.")
    var noNewKeyring = false

    @Argument(help: "Name of the container, unique on this host.")
    var id: String

    func launch() throws(RuntimeError) -> LaunchOptions {
        var options = LaunchOptions(id: id)
        options.bundle = bundle
        options.pidFile = pidFile
        options.consoleSocket = consoleSocket
        options.preserveFds = preserveFds
        return options
    }
}

struct RunCommand: Verb {
    static let configuration = CommandConfiguration(commandName: "run", abstract: "Create and run a container.")

    @OptionGroup var global: GlobalOptions
    @OptionGroup var bundle: BundleOptions
    @Flag(name: [.short, .long], help: "Detach from the container's process.") var detach = false
    @Flag(help: "Keep the container's state after it has ended.") var keep = false
    @Flag(name: .customLong("no-subreaper"), help: "Without effect: no process of a guest needs one.")
    var noSubreaper = false
    @Option(
        help: ArgumentHelp(
            "Write when each phase began and ended, for Perfetto; - is a table on stderr.", valueName: "file"))
    var timeline: String?

    var handedOn: Int {
        HandedDescriptors.total(listening: ListenDescriptors.count, asked: bundle.preserveFds)
    }

    mutating func execute(_ context: RuntimeContext) throws(RuntimeError) -> Int32 {
        var options = Run.Options(launch: try bundle.launch())
        options.detach = detach
        options.keep = keep
        options.timeline = timeline
        return try Run(context, options, began: commandBegan).run()
    }
}

struct CreateCommand: Verb {
    static let configuration = CommandConfiguration(commandName: "create", abstract: "Create a container.")

    @OptionGroup var global: GlobalOptions
    @OptionGroup var bundle: BundleOptions

    var handedOn: Int {
        HandedDescriptors.total(listening: ListenDescriptors.count, asked: bundle.preserveFds)
    }

    mutating func execute(_ context: RuntimeContext) throws(RuntimeError) -> Int32 {
        try Create.run(context, try bundle.launch())
        return 0
    }
}

struct StartCommand: Verb {
    static let configuration = CommandConfiguration(
        commandName: "start", abstract: "Run the user's process in a created container.")

    @OptionGroup var global: GlobalOptions
    @Argument var id: String

    mutating func execute(_ context: RuntimeContext) throws(RuntimeError) -> Int32 {
        try Start.run(context, id: id)
        return 0
    }
}

struct KillCommand: Verb {
    static let configuration = CommandConfiguration(
        commandName: "kill", abstract: "Send a signal to the container's init process.")

    @OptionGroup var global: GlobalOptions
    @Flag(name: [.short, .long], help: "Send the signal to every process in the container.") var all = false
    @Argument var id: String
    @Argument(help: "Name or number of the signal.") var signal = "SIGTERM"

    mutating func execute(_ context: RuntimeContext) throws(RuntimeError) -> Int32 {
        try Kill.run(context, id: id, signal: signal, all: all)
        return 0
    }
}

struct DeleteCommand: Verb {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Delete what a container still holds.")

    @OptionGroup var global: GlobalOptions
    @Flag(name: [.short, .long], help: "End the container if it still runs; no error if there is none.")
    var force = false
    @Argument var id: String

    mutating func execute(_ context: RuntimeContext) throws(RuntimeError) -> Int32 {
        try Delete.run(context, id: id, force: force)
        return 0
    }
}

struct StateCommand: Verb {
    static let configuration = CommandConfiguration(commandName: "state", abstract: "Output a container's state.")

    @OptionGroup var global: GlobalOptions
    @Argument var id: String

    mutating func execute(_ context: RuntimeContext) throws(RuntimeError) -> Int32 {
        try ShowState.run(context, id: id)
        return 0
    }
}

struct ListCommand: Verb {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List containers.")

    @OptionGroup var global: GlobalOptions
    @Option(name: [.short, .long], help: "table or json.") var format: ShowList.Format = .table
    @Flag(name: [.short, .long], help: "Only the ids.") var quiet = false

    mutating func execute(_ context: RuntimeContext) throws(RuntimeError) -> Int32 {
        try ShowList.run(context, format: format, quiet: quiet)
        return 0
    }
}

struct SpecCommand: Verb {
    static let configuration = CommandConfiguration(
        commandName: "spec", abstract: "Write a new specification file, config.json.")

    @OptionGroup var global: GlobalOptions
    @Option(name: [.short, .long], help: ArgumentHelp("Directory for the file.", valueName: "dir"))
    var bundle: String?
    @Flag(help: "For a container with a user namespace.") var rootless = false

    mutating func execute(_ context: RuntimeContext) throws(RuntimeError) -> Int32 {
        try WriteSpec.run(bundle: bundle, rootless: rootless)
        return 0
    }
}

struct CheckCommand: Verb {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Show what this machine offers, and whether a container can run on it.")

    @OptionGroup var global: GlobalOptions
    @Flag(help: "JSON in the place of a table.") var json = false

    mutating func execute(_ context: RuntimeContext) throws(RuntimeError) -> Int32 {
        CheckMachine.run(context, json: json)
    }
}
