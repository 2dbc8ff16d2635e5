import ArgumentParser
import OCISpec
import Runtime

extension ShowProcesses.Format: ExpressibleByArgument {}

struct PauseCommand: Verb {
    static let configuration = CommandConfiguration(
        commandName: "pause", abstract: "Suspend all processes of a container.")

    @OptionGroup var global: GlobalOptions
    @Argument var id: String

    mutating func execute(_ context: RuntimeContext) throws(RuntimeError) -> Int32 {
        try Pause.run(context, id: id, pause: true)
        return 0
    }
}

struct ResumeCommand: Verb {
    static let configuration = CommandConfiguration(
        commandName: "resume", abstract: "Resume all processes of a paused container.")

    @OptionGroup var global: GlobalOptions
    @Argument var id: String

    mutating func execute(_ context: RuntimeContext) throws(RuntimeError) -> Int32 {
        try Pause.run(context, id: id, pause: false)
        return 0
    }
}

struct PsCommand: Verb {
    static let configuration = CommandConfiguration(
        commandName: "ps", abstract: "Show the processes of a container.",
        discussion: """
            The table has the guest's processes, by their numbers in the guest; of ps's options it knows -e, -f, aux, -o
            LIST and --no-headers. As JSON it is the pids of the host that stand for the container's first process and
            for those of exec.
            """)

    @OptionGroup var global: GlobalOptions
    @Option(name: [.short, .long], help: "table or json.") var format: ShowProcesses.Format = .table
    @Argument var id: String
    @Argument(parsing: .captureForPassthrough, help: "Options of ps.") var options: [String] = []

    mutating func execute(_ context: RuntimeContext) throws(RuntimeError) -> Int32 {
        try ShowProcesses.run(context, id: id, format: format, options: options)
        return 0
    }
}

struct EventsCommand: Verb {
    static let configuration = CommandConfiguration(
        commandName: "events", abstract: "Show events such as OOM, and statistics, as JSON lines.")

    @OptionGroup var global: GlobalOptions
    @Option(help: ArgumentHelp("Between statistics, such as 5s or 500ms.", valueName: "time"))
    var interval: Interval = Interval(milliseconds: 5000)
    @Flag(help: "Show the statistics once, and leave.") var stats = false
    @Argument var id: String

    mutating func execute(_ context: RuntimeContext) throws(RuntimeError) -> Int32 {
        try Events.run(context, id: id, stats: stats, interval: interval.milliseconds)
        return 0
    }
}

/// A time as Go writes it: 1m30s, 500ms.
struct Interval: ExpressibleByArgument, CustomStringConvertible {
    var milliseconds: Int

    init(milliseconds: Int) { self.milliseconds = milliseconds }

    init?(argument: String) {
        let units: [(String, Double)] = [("ms", 1), ("us", 0.001), ("s", 1000), ("m", 60_000), ("h", 3_600_000)]
        var rest = argument[...]
        var sum = 0.0
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isNumber || $0 == "." }
            rest = rest.dropFirst(digits.count)
            guard let number = Double(digits), let unit = units.first(where: { rest.hasPrefix($0.0) }) else {
                return nil
            }
            rest = rest.dropFirst(unit.0.count)
            sum += number * unit.1
        }
        guard !argument.isEmpty, sum < 1e12 else { return nil }
        milliseconds = Int(sum)
    }

    var description: String { "\(milliseconds)ms" }
}

struct UpdateCommand: Verb {
    static let configuration = CommandConfiguration(
        commandName: "update", abstract: "Change the limits of a container.")

    @OptionGroup var global: GlobalOptions
    @Option(
        name: [.short, .long],
        help: ArgumentHelp("linux.resources as JSON, in the place of the other options; - is stdin.", valueName: "file")
    )
    var resources: String?
    @Option(name: .customLong("cpu-period"), help: "Microseconds.") var cpuPeriod: UInt64?
    @Option(name: .customLong("cpu-quota"), help: "Microseconds in each period; -1: no limit.") var cpuQuota: Int64?
    @Option(name: .customLong("cpu-share"), help: "Weight against others, 2 to 262144.") var cpuShare: UInt64?
    @Option(name: .customLong("cpu-burst"), help: "Refused.") var cpuBurst: UInt64?
    @Option(name: .customLong("cpu-rt-period"), help: "Refused.") var cpuRealtimePeriod: UInt64?
    @Option(name: .customLong("cpu-rt-runtime"), help: "Refused.") var cpuRealtimeRuntime: Int64?
    @Option(name: .customLong("cpu-idle"), help: "Refused.") var cpuIdle: Int64?
    @Option(name: .customLong("cpuset-cpus"), help: "CPUs of the host.") var cpus: String?
    @Option(name: .customLong("cpuset-mems"), help: "Memory nodes of the host.") var mems: String?
    @Option(help: "Bytes, or with k, m, g; -1: no limit.") var memory: Size?
    @Option(name: .customLong("memory-reservation"), help: "Soft limit.") var reservation: Size?
    @Option(name: .customLong("memory-swap"), help: "Memory and swap together; -1: no limit.") var swap: Size?
    @Option(name: .customLong("kernel-memory"), help: "Without effect, as in runc.") var kernelMemory: Size?
    @Option(name: .customLong("kernel-memory-tcp"), help: "Without effect, as in runc.") var kernelMemoryTCP: Size?
    @Option(name: .customLong("pids-limit"), help: "Processes; -1: no limit.") var pidsLimit: Int64?
    @Option(name: .customLong("blkio-weight"), help: "Refused.") var blkioWeight: UInt16?
    @Option(name: .customLong("l3-cache-schema"), help: "Refused.") var cacheSchema: String?
    @Option(name: .customLong("mem-bw-schema"), help: "Refused.") var bandwidthSchema: String?
    @Argument var id: String

    mutating func execute(_ context: RuntimeContext) throws(RuntimeError) -> Int32 {
        if blkioWeight != nil { throw RuntimeError("linux.resources.blockIO is not supported") }
        if cacheSchema != nil || bandwidthSchema != nil { throw RuntimeError("linux.intelRdt is not supported") }
        var options = Update.Options(id: id)
        options.file = resources
        var memory = Linux.Resources.Memory()
        memory.limit = self.memory?.bytes
        memory.reservation = reservation?.bytes
        memory.swap = swap?.bytes
        options.resources.memory = memory
        var cpu = Linux.Resources.CPU()
        cpu.period = cpuPeriod
        cpu.quota = cpuQuota
        cpu.shares = cpuShare
        cpu.burst = cpuBurst
        cpu.realtimePeriod = cpuRealtimePeriod
        cpu.realtimeRuntime = cpuRealtimeRuntime
        cpu.idle = cpuIdle
        cpu.cpus = cpus ?? ""
        cpu.mems = mems ?? ""
        options.resources.cpu = cpu
        if let pidsLimit { options.resources.pids = .init(limit: pidsLimit) }
        try Update.run(context, options)
        return 0
    }
}

/// Bytes, as Docker's units package reads them: 64m, 1.5g, 1GiB, -1.
struct Size: ExpressibleByArgument {
    var bytes: Int64

    init?(argument: String) {
        if argument == "-1" {
            bytes = -1
            return
        }
        let digits = argument.prefix { $0.isNumber || $0 == "." }
        let unit = argument.dropFirst(digits.count).drop { $0 == " " }.lowercased()
        let shifts: [String: Int64] = ["": 0, "b": 0, "k": 10, "m": 20, "g": 30, "t": 40, "p": 50]
        let letter = unit.count > 1 && (unit.hasSuffix("b")) ? String(unit.prefix(1)) : unit
        guard let number = Double(digits), let shift = shifts[letter], unit.count <= 3,
            unit.count < 3 || unit.hasSuffix("ib")
        else { return nil }
        let value = number * Double(Int64(1) << shift)
        guard value < 9.2e18 else { return nil }
        bytes = Int64(value)
    }
}

struct FeaturesCommand: Verb {
    static let configuration = CommandConfiguration(
        commandName: "features", abstract: "Show what this runtime can do, as JSON.")

    @OptionGroup var global: GlobalOptions

    mutating func execute(_ context: RuntimeContext) throws(RuntimeError) -> Int32 {
        ShowFeatures.run()
        return 0
    }
}

struct CheckpointCommand: Verb {
    static let configuration = CommandConfiguration(
        commandName: "checkpoint", abstract: "Refused: containers can't be checkpointed yet.")

    @OptionGroup var global: GlobalOptions
    @Argument(parsing: .captureForPassthrough) var arguments: [String] = []

    mutating func execute(_ context: RuntimeContext) throws(RuntimeError) -> Int32 {
        throw RuntimeError("checkpoint is not supported: the state of a guest can't be saved yet")
    }
}

struct RestoreCommand: Verb {
    static let configuration = CommandConfiguration(
        commandName: "restore", abstract: "Refused: there are no checkpoints to restore.")

    @OptionGroup var global: GlobalOptions
    @Argument(parsing: .captureForPassthrough) var arguments: [String] = []

    mutating func execute(_ context: RuntimeContext) throws(RuntimeError) -> Int32 {
        throw RuntimeError("restore is not supported: the state of a guest can't be saved yet")
    }
}
