import FuzzTargets
import Glibc
import LinuxSys
import Testing

/// The corpora that `make fuzz` has found, and programs that are the same at every run, in a process for each target:
/// descriptors and memory can be counted there, and a trap is the failure of one test.
@Suite("Fuzz targets: replayed")
struct ReplayTests {
    @Test("corpus and random programs: no complaint, no trap, no hang, no leak", arguments: FuzzTarget.all.map(\.name))
    func replay(name: String) async {
        await #expect(processExitsWith: .success) { [name = name as String] in
            try Replay(name).run()
        }
    }
}

/// One target's replay.
struct Replay {
    /// Long enough for a slow machine, and not for ever.
    private static let mostSeconds: UInt32 = 240
    /// Bytes that the second half of the programs may add to the process: far less than a KiB each.
    private static let mostGrowth = 1 << 20
    /// Dispatch, by which the test's own process is run, makes an epoll, an eventfd and timers when it pleases. A target
    /// that leaks does so in one program of a hundred at least, or it is not found here.
    private static let dispatchDescriptors = 5

    private let target: FuzzTarget
    private let corpus: [[UInt8]]

    init(_ name: String) throws {
        target = try #require(FuzzTarget.named(name))
        let tests = String(#filePath.dropLast("FuzzTests/ReplayTests.swift".count))
        let folder = "\(tests)FuzzCorpora/\(name)"
        corpus = try File.list(folder).sorted().map { try File.read("\(folder)/\($0)", limit: 1 << 20) }
    }

    func run() throws {
        alarm(Self.mostSeconds)
        FuzzTarget.prepare()
        try #require(!corpus.isEmpty)
        // What is made once is there before anything is counted.
        judge(corpus[0], "the first input")
        let descriptors = try openDescriptors()
        for (number, input) in corpus.enumerated() { judge(input, "input \(number)") }
        var random = SeededGenerator(20_26)
        for number in 0..<programs / 2 { judge(program(&random), "program \(number)") }
        let resident = try residentBytes()
        for number in programs / 2..<programs { judge(program(&random), "program \(number)") }
        #expect(try residentBytes() - resident < Self.mostGrowth)
        #expect(try openDescriptors() <= descriptors + Self.dispatchDescriptors)
    }

    /// As many as take a few seconds: a program of a device has a device of its own, sockets and files.
    private var programs: Int {
        switch target.name {
        case "vsock", "file-system", "block": 600
        default: 3000
        }
    }

    private func judge(_ input: [UInt8], _ name: String) {
        let complaint = target.run(input)
        #expect(complaint == nil, "\(target.name), \(name): \(input)")
    }

    /// Random bytes, or an input of the corpus with some of them.
    private func program(_ random: inout SeededGenerator) -> [UInt8] {
        if Bool.random(using: &random) {
            return (0..<Int.random(in: 0...300, using: &random)).map { _ in .random(in: 0...255, using: &random) }
        }
        var input = corpus.randomElement(using: &random) ?? []
        for _ in 0..<Int.random(in: 1...8, using: &random) where !input.isEmpty {
            let place = Int.random(in: 0..<input.count, using: &random)
            switch Int.random(in: 0..<4, using: &random) {
            case 0: input.remove(at: place)
            case 1: input.insert(.random(in: 0...255, using: &random), at: place)
            case 2: input.insert(contentsOf: input[place..<min(place + 16, input.count)], at: place)
            default: input[place] = .random(in: 0...255, using: &random)
            }
        }
        return input
    }

    private func residentBytes() throws -> Int {
        let text = String(decoding: try File.read("/proc/self/statm", limit: 4096), as: UTF8.self)
        let numbers = text.split(separator: " ")
        return try #require(Int(numbers[1])) * 4096
    }

    private func openDescriptors() throws -> Int { try File.list("/proc/self/fd").count }
}

/// The same numbers at every run.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
