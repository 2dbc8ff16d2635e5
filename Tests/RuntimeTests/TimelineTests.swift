import JSON
import Testing

@testable import Runtime

struct TimelineTests {
    private let millisecond: UInt64 = 1_000_000

    private func sample() -> Timeline {
        var timeline = Timeline()
        timeline.mark(.commandStarted, 1000 * millisecond)
        timeline.mark(.supervisorStarted, 1002 * millisecond)
        timeline.mark(.hypervisorStarted, 1010 * millisecond)
        timeline.mark(.kernelEntered, 1100 * millisecond)
        timeline.mark(.agentReady, 1234 * millisecond + 560_000)
        return timeline
    }

    @Test("a phase is there when both of its ends are")
    func phases() {
        let phases = sample().phases
        #expect(
            phases.map(\.title) == [
                "own start", "start of the machine's processes", "QEMU: load the kernel", "kernel and agent: boot",
            ])
        #expect(phases.map(\.guest) == [false, false, false, true])
        #expect(phases.map { ($0.end - $0.begin) / millisecond } == [2, 8, 90, 134])
        #expect(Timeline().phases == [])
    }

    @Test("every mark is the end of a phase or its beginning")
    func all() {
        var timeline = Timeline()
        for (index, name) in TimelineMark.Name.allCases.enumerated() { timeline.mark(name, UInt64(index)) }
        #expect(timeline.phases.count == 11)
        #expect(timeline.marks.map(\.name) == TimelineMark.Name.allCases)
    }

    @Test("the first time of a mark counts")
    func first() {
        var timeline = sample()
        timeline.mark(.commandStarted, 5)
        timeline.add([TimelineMark(.agentReady, 7), TimelineMark(.firstByte, 8)])
        #expect(timeline.marks.first { $0.name == .commandStarted }?.time == 1000 * millisecond)
        #expect(timeline.marks.map(\.time) == timeline.marks.map(\.time).sorted())
        #expect(timeline.marks.contains(TimelineMark(.firstByte, 8)))
        #expect(timeline.marks.count == 6)
    }

    @Test func table() {
        let expected = """
                from       ms  phase
                  0.0      2.0  own start
                  2.0      8.0  start of the machine's processes
                 10.0     90.0  QEMU: load the kernel
                100.0    134.6  kernel and agent: boot

            """
        #expect(sample().table == expected)
        #expect(Timeline().table == "")
    }

    @Test("times that go backwards or to the end of all numbers are shown, not a trap")
    func extremes() {
        var timeline = Timeline()
        timeline.mark(.commandStarted, .max)
        timeline.mark(.supervisorStarted, 0)
        timeline.mark(.hypervisorStarted, .max)
        #expect(timeline.phases.map { $0.end - $0.begin } == [0, .max])
        #expect(timeline.table.contains("184467440737095.5") || timeline.table.contains("18446744073709.6"))
        #expect(timeline.trace(id: "x").kind == "an object")
    }

    @Test("the trace is what Perfetto opens: microseconds from the start, a thread each for host and guest")
    func trace() throws {
        guard case .array(let events)? = sample().trace(id: "c1")["traceEvents"] else {
            Issue.record("no events")
            return
        }
        #expect(events.count == 3 + 4)
        #expect(events[0]["args"]?["name"] == "kvm-runtime c1")
        #expect(events[1]["args"]?["name"] == "host" && events[2]["args"]?["name"] == "guest")
        let boot = try #require(events.last)
        #expect(boot["name"] == "kernel and agent: boot" && boot["ph"] == "X" && boot["pid"] == 1 && boot["tid"] == 2)
        #expect(boot["ts"] == .number(100_000) && boot["dur"] == .number(134_560))
        #expect(events[3]["tid"] == 1 && events[3]["ts"] == .number(0))
        #expect(try JSONValue.parse(sample().trace(id: "c1").bytes())["displayTimeUnit"] == "ms")
    }

    @Test func marksAsJSON() throws {
        for name in TimelineMark.Name.allCases {
            let mark = TimelineMark(name, .max)
            #expect(try TimelineMark(decoding: JSONCursor(mark.json)) == mark)
        }
        let wrong: [JSONValue] = [
            ["name": "x", "time": 1], ["name": "firstByte"], ["name": "firstByte", "time": -1], ["time": 1], [],
            ["name": 1, "time": 1],
        ]
        for value in wrong { #expect(throws: JSONFieldError.self) { try TimelineMark(decoding: JSONCursor(value)) } }
    }
}
