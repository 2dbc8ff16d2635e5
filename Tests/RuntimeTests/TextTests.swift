import AgentProtocol
import Glibc
import JSON
import LinuxSys
import Testing

@testable import Runtime

struct ConsoleTailTests {
    private func lines(_ text: String) -> [String] {
        var tail = ConsoleTail()
        tail.append(Array(text.utf8))
        return tail.last
    }

    @Test func lines() {
        #expect(lines("") == [])
        #expect(lines("one\r\ntwo\n\n\nhalf") == ["one", "two", "half"])
    }

    @Test("the same, however the bytes come")
    func pieces() {
        var tail = ConsoleTail()
        for byte in Array("é one\ntwo\nthrée".utf8) { tail.append([byte]) }
        #expect(tail.last == ["é one", "two", "thrée"])
        // Looking does not end the line.
        tail.append(Array("!\n".utf8))
        #expect(tail.last == ["é one", "two", "thrée!"])
    }

    @Test("whoever follows is told every line that is complete, once")
    func follower() {
        var tail = ConsoleTail()
        var told: [String] = []
        tail.follower = { told.append($0) }
        tail.append(Array("one\ntw".utf8))
        #expect(tail.last == ["one", "tw"] && told == ["one"])
        tail.append(Array("o\u{1b}\n\n\u{9b}\nthree".utf8))
        #expect(told == ["one", "two"])
    }

    @Test("only the last lines are kept")
    func many() {
        let text = (1...100).map { "line \($0)\n" }.joined()
        #expect(lines(text) == (89...100).map { "line \($0)" })
        #expect(lines(text + "half") == (90...100).map { "line \($0)" } + ["half"])
    }

    @Test("a panic is not hidden by the trace that follows it")
    func panic() {
        let trace = (1...30).map { "trace \($0)\n" }.joined()
        let last = lines("a\nb\nc\nd\nKernel panic - not syncing: no init\n" + trace)
        #expect(last == ["b", "c", "d", "Kernel panic - not syncing: no init"] + (1...8).map { "trace \($0)" })
    }

    @Test("a line without end is cut, and what follows it is a line again")
    func endless() {
        var tail = ConsoleTail()
        for _ in 0..<1000 { tail.append([UInt8](repeating: 120, count: 1000)) }
        #expect(tail.last == [String(repeating: "x", count: 200)])
        tail.append(Array("\nnext".utf8))
        #expect(tail.last == [String(repeating: "x", count: 200), "next"])
    }

    @Test("nothing that a terminal obeys comes through")
    func control() {
        let all = String(String.UnicodeScalarView((0..<0x250).compactMap(Unicode.Scalar.init)))
        for line in lines(all) + lines("\u{1b}[31mred\u{9b}2J\u{7}\u{7f}\u{202e}dlrow\u{2066}") {
            for scalar in line.unicodeScalars {
                #expect(
                    scalar.properties.generalCategory != .control && scalar.properties.generalCategory != .format
                        || scalar == "\u{ad}", "U+\(String(scalar.value, radix: 16))")
            }
        }
        #expect(lines("\u{1b}[31mred\u{9b}2J\u{7}\u{7f}\u{202e}dlrow\u{2066}") == ["[31mred2Jdlrow"])
        #expect(lines("\u{1b}\u{9b}\n\u{85}\n") == [])
    }

    @Test func notText() {
        var tail = ConsoleTail()
        tail.append([0xff, 0xc3, 0x0a, 0x80, 0x9b, 0x41])
        #expect(tail.last == ["\u{FFFD}\u{FFFD}", "\u{FFFD}\u{FFFD}A"])
    }
}

struct RuntimeErrorTests {
    @Test("an error is one line that a terminal only shows")
    func line() {
        let text = "a\nb\r\nc\u{2028}d\te\u{1b}[2J\u{9b}31m\u{0}f\u{202e}g é 👍"
        #expect(RuntimeError(text).description == "a b c d e[2J31mfg é 👍")
        #expect(RuntimeError("").description == "" && RuntimeError("\n\n").description == "")
        #expect(RuntimeError("x").exitCode == 1)
    }

    @Test(
        "the agent's refusals have runc's exit codes",
        arguments: [
            (Failure.Kind.programNotFound, 127), (.programNotExecutable, 126), (.container, 1), (.guest, 1),
            (.state, 1),
        ] as [(Failure.Kind, Int32)])
    func codes(kind: Failure.Kind, code: Int32) {
        let error = RuntimeError(Failure(kind: kind, message: "exec: \u{1b}]0;x\u{7}\"sh\": no\nsuch file"))
        #expect(error.exitCode == code && error.description == #"exec: ]0;x"sh": no such file"#)
        guard
            case .failed(let message, code, []) = ControlEvent(
                agentAnswer: .success(.failed(.init(kind: kind, message: "m"))))
        else {
            Issue.record("another event")
            return
        }
        #expect(message == "m")
    }

    @Test func exitWords() {
        #expect(LinuxSys.ExitStatus.exited(code: 3).words == "exited with code 3")
        #expect(LinuxSys.ExitStatus.signaled(signal: 9).words == "was killed by SIGKILL")
        #expect(ProcessExit(process: ProcessName("c"), signal: nil, code: 255, oomKilled: false).shellCode == 255)
        #expect(ProcessExit(process: ProcessName("c"), signal: 64, code: 0, oomKilled: false).shellCode == 192)
        #expect(ControlEvent(agentAnswer: .success(.done)) == .done)
        #expect(
            ControlEvent(agentAnswer: .failure(RuntimeError("x", exitCode: 5)))
                == .failed(message: "x", exitCode: 5, console: []))
    }
}

struct LogTests {
    private let hostile = "a \"quoted\"\nline\u{1b} \\ é"

    @Test func jsonLine() throws {
        let line = FileLogHandler.line(level: "error", message: hostile, time: "T", format: .json)
        #expect(line == #"{"level":"error","msg":"a \"quoted\"\nline\u001b \\ é","time":"T"}"# + "\n")
        #expect(try JSONValue.parse(Array(line.utf8))["msg"] == .string(hostile))
    }

    @Test func textLine() {
        let line = FileLogHandler.line(level: "warning", message: hostile, time: "T", format: .text)
        #expect(line == #"time="T" level=warning msg="a \"quoted\"\nline\u001b \\ é""# + "\n")
    }

    @Test("the file is appended to, a line a message", arguments: Log.Format.allCases)
    func file(format: Log.Format) throws {
        try inScratch { path in
            let file = path + "/log"
            try FileDescriptor.open(file, O_WRONLY | O_CREAT, mode: 0o600).writeAll(Array("before\n".utf8))
            for word in ["one", "two"] { try Log(file: file, format: format, debug: false).warning(word) }
            let lines = text(try File.read(file, limit: 10_000)).split(separator: "\n")
            try #require(lines.count == 3)
            #expect(lines[0] == "before")
            #expect(lines[1].contains("one") && lines[2].contains("two") && lines[1].contains("warning"))
            if format == .json {
                #expect(try JSONValue.parse(Array(lines[2].utf8))["level"] == "warning")
            }
        }
    }

    @Test func noFile() {
        let error = #expect(throws: RuntimeError.self) {
            try Log(file: "/nonexistent/log", format: .text, debug: false)
        }
        #expect(error?.description == "can't open the log /nonexistent/log: No such file or directory")
    }
}

struct TimestampTests {
    @Test(
        arguments: [
            (0, "1970-01-01T00:00:00.000000000Z"), (1_000_000_001, "1970-01-01T00:00:01.000000001Z"),
            (951_827_696_999_999_999, "2000-02-29T12:34:56.999999999Z"),
            (1_767_225_599_100_000_000, "2025-12-31T23:59:59.100000000Z"),
            (UInt64.max, "2554-07-21T23:34:33.709551615Z"),
        ] as [(UInt64, String)])
    func text(nanoseconds: UInt64, text: String) { #expect(Timestamp.text(nanoseconds) == text) }

    @Test("timestamps sort as the moments do")
    func now() {
        let first = Timestamp.now()
        #expect(first.utf8.count == 30 && first <= Timestamp.now() && first > "2024")
    }
}
