import DBus
import Testing

@testable import Runtime

struct SystemdTests {
    private func start(_ systemd: Systemd) throws -> Systemd.Start {
        try systemd.start(
            scope: "u.scope", slice: "a.slice", description: "d", pid: 77,
            properties: [UnitProperty("MemoryMax", .uint64(5))], isUnified: true)
    }

    private func properties(_ call: DBusMessage) throws -> [String: DBusValue] {
        guard case .array(_, let list) = try call.arguments()[2] else { return [:] }
        var properties: [String: DBusValue] = [:]
        for case .structure(let pair) in list {
            if case .string(let name) = pair[0], case .variant(let value) = pair[1] { properties[name] = value }
        }
        return properties
    }

    @Test("a scope has what runc's have, the process and the limits, and is waited for")
    func startsScope() throws {
        try inScratch { directory in
            let fake = try FakeSystemd(
                directory,
                [
                    [
                        .answer(1), .jobRemoved("/job/8", "failed"), .answer(2, [.path("/job/9")]),
                        .jobRemoved("/job/9", "done"),
                    ]
                ])
            #expect(try start(fake.systemd) == .done)
            let calls = try #require(try fake.calls().first)
            #expect(calls.map(\.member) == ["Subscribe", "StartTransientUnit"])
            #expect(calls[1].destination == nil && calls[1].path == "/org/freedesktop/systemd1")
            #expect(try Array(calls[1].arguments().prefix(2)) == [.string("u.scope"), .string("replace")])
            #expect(
                try properties(calls[1]) == [
                    "Description": .string("d"), "Slice": .string("a.slice"), "Delegate": .boolean(true),
                    "PIDs": .array("u", [.uint32(77)]), "MemoryAccounting": .boolean(true),
                    "CPUAccounting": .boolean(true), "IOAccounting": .boolean(true), "TasksAccounting": .boolean(true),
                    "DefaultDependencies": .boolean(false), "MemoryMax": .uint64(5),
                ])
        }
    }

    @Test("over a bus it says hello, and believes nobody else's signals")
    func bus() throws {
        try inScratch { directory in
            var answer = DBusMessage.answer(4, [.path("/job/9")])
            answer.sender = ":1.0"
            let fake = try FakeSystemd(
                directory, hasBus: true,
                [
                    [
                        .answer(1, [.string(":1.7")]), .answer(2), .answer(3), answer,
                        .jobRemoved("/job/9", "done", sender: ":1.5"), .jobRemoved("/job/9", "failed", sender: ":1.0"),
                    ]
                ])
            #expect(throws: RuntimeError("systemd can't start the unit u.scope: its job ended as \"failed\"")) {
                try start(fake.systemd)
            }
            let calls = try #require(try fake.calls().first)
            #expect(calls.map(\.member) == ["Hello", "AddMatch", "Subscribe", "StartTransientUnit"])
            #expect(calls[3].destination == "org.freedesktop.systemd1")
        }
    }

    @Test("a unit that failed is forgotten and made anew; one that is there is said")
    func exists() throws {
        try inScratch { directory in
            let fake = try FakeSystemd(
                directory,
                [
                    [
                        .answer(1), .error(2, "UnitExists"), .answer(3), .answer(4), .answer(5, [.path("/j")]),
                        .jobRemoved("/j", "done"),
                    ],
                    [
                        .answer(1), .error(2, "UnitExists"), .error(3, "NoSuchUnit"), .answer(4),
                        .error(5, "UnitExists"),
                    ],
                ])
            #expect(try start(fake.systemd) == .done)
            #expect(try start(fake.systemd) == .exists)
            #expect(try fake.calls().first?.map(\.member)[2] == "ResetFailedUnit")
        }
    }

    @Test func refuses() throws {
        try inScratch { directory in
            let fake = try FakeSystemd(
                directory, milliseconds: 300,
                [
                    [.answer(1), .error(2, "X", "Interactive authentication\nrequired.")], [.answer(1)],
                    [.answer(1), .answer(2, [.uint32(5)])],
                ])
            #expect(
                throws: RuntimeError("systemd can't start the unit u.scope: Interactive authentication required.")
            ) { try start(fake.systemd) }
            #expect(throws: RuntimeError("systemd can't start the unit u.scope: no answer in time")) {
                try start(fake.systemd)
            }
            #expect(throws: RuntimeError.self) { try start(fake.systemd) }
        }
    }

    @Test func nobodyThere() {
        let systemd = Systemd(endpoints: [.init(path: "/nonexistent/socket", hasBus: false)])
        #expect(
            throws: RuntimeError("systemd can't start the unit u.scope: /nonexistent/socket: No such file or directory")
        ) { try start(systemd) }
    }

    @Test("to stop a unit that is not there is fine")
    func stops() throws {
        try inScratch { directory in
            let fake = try FakeSystemd(
                directory,
                [
                    [.answer(1), .answer(2, [.path("/j")]), .jobRemoved("/j", "done"), .error(3, "NoSuchUnit")],
                    [.answer(1), .error(2, "NoSuchUnit"), .answer(3)], [.answer(1), .error(2, "AccessDenied")],
                ])
            try fake.systemd.stop("u.scope")
            try fake.systemd.stop("u.scope")
            #expect(throws: RuntimeError("systemd can't stop the unit u.scope: no")) {
                try fake.systemd.stop("u.scope")
            }
            #expect(try fake.calls().map { $0.map(\.member) }[0] == ["Subscribe", "StopUnit", "ResetFailedUnit"])
        }
    }

    @Test func setsProperties() throws {
        try inScratch { directory in
            let fake = try FakeSystemd(directory, [[.answer(1)]])
            try fake.systemd.set([UnitProperty("CPUShares", .uint64(9))], of: "u.scope")
            let call = try #require(try fake.calls().first?.first)
            #expect(call.member == "SetUnitProperties")
            #expect(try call.arguments()[1] == .boolean(true))
            #expect(try properties(call) == ["CPUShares": .uint64(9)])
        }
    }
}
