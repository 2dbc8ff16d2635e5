import Glibc
import JSON
import Testing

@testable import Runtime

struct ProcessTableTests {
    /// Fields of proc(5) from the state on: pgid 7, session 7, ticks used 150 and 30, started at 2000.
    private static func stat(_ pid: Int, _ name: String, parent: Int = 0, foreground: Int = -1, threads: Int = 1)
        -> String
    {
        "\(pid) (\(name)) S \(parent) 7 7 34817 \(foreground) 0 1 2 3 4 150 30 0 0 25 5 \(threads) 0 2000 1048576 300 99"
    }

    private let scale = ProcessScale(
        uptime: 2000 + 90_061 * 100, memoryKiB: 120_000, now: 1_700_000_000,
        users: HostUsers(text: "root:x:0:0::/:/bin/sh\nann:x:1000:1000::/:/bin/sh\n"))

    private func table(_ options: [String], _ lines: [ProcessLine]? = nil) throws -> String {
        let lines =
            lines ?? [
                ProcessLine(pid: 7, uid: 0, stat: Self.stat(7, "a b) c"), commandLine: "/bin/a b  "),
                ProcessLine(pid: 12, uid: 1000, stat: Self.stat(12, "k", parent: 7, threads: 3), commandLine: ""),
                ProcessLine(pid: 13, uid: 77, stat: "nonsense", commandLine: "x"),
            ]
        return ShowProcesses.table(try ProcessOptions(options), lines, scale)
    }

    @Test(
        "every column of ps(1) that we know",
        arguments: [
            ("user", "root"), ("uid", "0"), ("pid", "7"), ("ppid", "0"), ("pgid", "7"), ("sid", "7"), ("c", "0"),
            ("pcpu", "0.0"), ("%cpu", "0.0"), ("pmem", "1.0"), ("vsz", "1024"), ("rss", "1200"), ("tty", "pts/1"),
            ("stat", "SNs"), ("s", "S"), ("etime", "01-01:01:01"), ("etimes", "90061"), ("time", "00:00:01"),
            ("bsdtime", "0:01"), ("ni", "5"), ("pri", "14"), ("nlwp", "1"), ("comm", "a b) c"), ("args", "/bin/a b"),
            ("cmd", "/bin/a b"), ("command", "/bin/a b"),
        ])
    func columns(name: String, text: String) throws {
        let line = ProcessLine(pid: 7, uid: 0, stat: Self.stat(7, "a b) c"), commandLine: "/bin/a b  ")
        #expect(try table(["-o", name + "="], [line]) == text + "\n")
    }

    @Test func forms() throws {
        #expect(
            try table(["-eo", "pid,user,comm"]) == """
                PID USER COMMAND
                  7 root a b) c
                 12 ann  k
                 13 77   ?

                """)
        for options in [
            ["-o", "pid", "-o", "comm"], ["--", "-opid,comm"], ["axo", "pid comm"], ["--format=pid,comm"],
        ] {
            #expect(try table(options).hasPrefix("PID COMMAND\n  7 a b) c\n"), "\(options)")
        }
        #expect(try table(["-o", "pid=A,B"]).hasPrefix("A,B\n  7\n"))
        #expect(try table(["-o", "pid=", "-o", "stat="]) == " 7 SNs\n12 SNl\n13 ?\n")
        #expect(try table(["--no-headers", "-o", "ppid"]) == "0\n7\n?\n")
        let full = try table([]).split(separator: "\n")
        #expect(full[0].split(separator: " ") == ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"])
        #expect(full[2].hasSuffix(" [k]") && full[2].hasPrefix("ann "))
        #expect(try table(["-ef"]).split(separator: "\n") == full)
        let bsd = try table(["aux"]).split(separator: "\n")
        #expect(
            bsd[0].split(separator: " ") == [
                "USER", "PID", "%CPU", "%MEM", "VSZ", "RSS", "TTY", "STAT", "START", "TIME", "COMMAND",
            ])
        #expect(try table(["-e"]).hasPrefix("PID TTY "))
        #expect(
            try table(["ax"]).split(separator: "\n")[0].split(separator: " ") == [
                "PID", "TTY", "STAT", "TIME", "COMMAND",
            ])
    }

    @Test(arguments: [
        (["-o", "pid,nosuch"], "column nosuch is not supported (user, uid, pid"), (["-o"], "-o needs a list"),
        (["-o", ""], "-o needs a list"), (["-Z"], "option -Z is not supported"), (["--sort=pid"], "option --sort=pid"),
        (["l"], "option l is not supported"), (["-"], "option - is not supported"), (["--format"], "needs a list"),
    ])
    func refusals(options: [String], words: String) {
        #expect { try ProcessOptions(options) } throws: { "\($0)".contains(words) }
    }

    @Test("what a guest may say of a process stays a line of figures")
    func hostile() throws {
        let most = String(UInt64.max)
        let fields = Array(repeating: most, count: 30).joined(separator: " ")
        for stat in [
            "1 (x) \(fields)", "1 (x)", ")(", "", "1 (x) S -1 -9223372036854775808 - - - - -", "1 (é) \u{1F600}",
        ] {
            let line = ProcessLine(pid: .max, uid: .max, stat: stat, commandLine: "  ")
            for name in ProcessColumn.names.split(separator: ",") {
                _ = try table(["-o", String(name.drop { $0 == " " })], [line])
            }
        }
    }

    @Test func moments() {
        var parts = tm()
        parts.tm_year = 124
        parts.tm_mon = 4
        parts.tm_mday = 6
        parts.tm_hour = 12
        parts.tm_isdst = -1
        let noon = mktime(&parts)
        #expect(ProcessTimes.moment(noon - 61, now: noon) == "11:58")
        #expect(ProcessTimes.moment(noon - 61, now: noon, withSeconds: true) == "11:58:59")
        #expect(ProcessTimes.moment(noon - 2 * 86400, now: noon) == "May04")
        #expect(ProcessTimes.moment(noon - 2 * 86400, now: noon, withSeconds: true) == "May 04")
        #expect(ProcessTimes.moment(noon - 300 * 86400, now: noon) == "2023")
    }
}

struct HostUsersTests {
    @Test func names() {
        let users = HostUsers(text: "a:x:1:1:::\nbroken\n:x:2:2:::\nb:x:1:1:::\nc:x:y:1:::\n# d:x:4:\ne:x:5:")
        #expect(users[1] == "a" && users[2] == nil && users[5] == "e")
        #expect(HostUsers(file: "/nonexistent")[0] == nil)
        #expect(HostUsers()[0] == "root")
    }
}
