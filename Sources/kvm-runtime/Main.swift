import ArgumentParser
import Glibc
import LinuxSys
import Runtime

/// When the process began, for the timeline.
let commandBegan = Clock.monotonicNanoseconds()

@main
enum Main {
    static func main() {
        ProcessControl.openMissingStandardStreams()
        // Who ignores the ends of its children would have ours reaped before they are asked how they ended.
        Signals.restore(SIGCHLD)
        let arguments = Array(CommandLine.arguments.dropFirst())
        // The supervisor and the stand-ins are not for people: they have no options and no help. They were started as
        // /proc/self/exe.
        if [["sandbox"], ["process"]].contains(arguments) { ProcessControl.call("kvm-runtime") }
        if arguments == ["sandbox"] { exit(SupervisorMain.run()) }
        if arguments == ["process"] { exit(StandInMain.run()) }
        exit(run(arguments))
    }

    private static func run(_ arguments: [String]) -> Int32 {
        do {
            let commands = Set(KVMRuntime.configuration.subcommands.compactMap { $0.configuration.commandName })
            var command = try KVMRuntime.parseAsRoot(GoFlags.normalized(arguments, commands: commands))
            if var verb = command as? any Verb {
                return execute(&verb)
            }
            try command.run()
            return 0
        } catch {
            let code = KVMRuntime.exitCode(for: error)
            if code.isSuccess { Output.print(KVMRuntime.fullMessage(for: error) + "\n") }
            if code.isSuccess { return 0 }
            Output.error("kvm-runtime: \(KVMRuntime.message(for: error))\n")
            return 1
        }
    }

    private static func execute(_ verb: inout any Verb) -> Int32 {
        var log: Log?
        // Before anything is opened that could be taken for one of them.
        let missing = HandedDescriptors.firstClosed(of: verb.handedOn)
        do throws(RuntimeError) {
            let opened = try verb.global.openLog()
            log = opened
            if let missing {
                throw HandedDescriptors.notOpen(missing, of: verb.handedOn, exitCode: verb.failureCode)
            }
            let code = try verb.execute(try verb.global.context(log: opened))
            if let failure = Output.failure { throw RuntimeError("writing to stdout: \(failure)") }
            return code
        } catch {
            if let log { log.error(error) } else { Output.error("kvm-runtime: \(error)\n") }
            return error.exitCode
        }
    }
}

struct KVMRuntime: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kvm-runtime",
        abstract: "An OCI runtime that puts every container into its own lightweight KVM guest.",
        version: Version.text,
        subcommands: [
            RunCommand.self, CreateCommand.self, StartCommand.self, KillCommand.self, DeleteCommand.self,
            ExecCommand.self, PsCommand.self, PauseCommand.self, ResumeCommand.self, UpdateCommand.self,
            EventsCommand.self, FeaturesCommand.self, CheckpointCommand.self, RestoreCommand.self,
            StateCommand.self, ListCommand.self, SpecCommand.self, CheckCommand.self,
        ])
}

/// A command that gets the runtime's context.
protocol Verb: ParsableCommand {
    var global: GlobalOptions { get }
    /// How many descriptors of the caller, from 3 on, are for the process that it runs.
    var handedOn: Int { get }
    /// The exit code of a command that fails before it begins.
    var failureCode: Int32 { get }
    mutating func execute(_ context: RuntimeContext) throws(RuntimeError) -> Int32
}

extension Verb {
    var handedOn: Int { 0 }
    var failureCode: Int32 { 1 }
}
