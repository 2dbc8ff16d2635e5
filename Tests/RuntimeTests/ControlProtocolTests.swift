import JSON
import LinuxSys
import Testing

@testable import Runtime

struct ControlProtocolTests {
    @Test(arguments: [
        ControlRequest.start, .signal(1, all: false), .signal(64, all: true), .destroy,
        .exec(AskedProcess(terminal: nil)),
        .exec(
            AskedProcess(
                terminal: Terminal.Size(rows: 1, columns: .max), ignorePaused: true,
                passed: [
                    .reader, .writer, .socket, .listener, .device(.full),
                    .file(.init(path: "/é", identity: .init(device: .max, inode: 9), flags: 0o2001, offset: 7)),
                ], cgroup: ["a", "b"])),
    ])
    func requests(request: ControlRequest) throws {
        #expect(try ControlRequest(decoding: try JSONValue.parse(request.json.bytes())) == request)
    }

    @Test(arguments: [
        ControlEvent.created, .done, .exited(code: 0), .warning("é\n"), .exited(code: 255), .exited(code: .min),
        .failed(message: "é\n\"", exitCode: 127, console: ["one", "two"]),
        .failed(message: "", exitCode: 1, console: []),
        .console(line: "é"), .timeline([], processorTimes: [:]),
        .timeline([TimelineMark(.firstByte, .max), TimelineMark(.commandStarted, 0)], processorTimes: ["qemu": .max]),
    ])
    func events(event: ControlEvent) throws {
        #expect(try ControlEvent(decoding: try JSONValue.parse(event.json.bytes())) == event)
    }

    @Test(
        "another form is an error that names the field",
        arguments: [
            ("{}", "request: is missing"), ("[]", "expected an object, found an array"), ("null", "is missing"),
            ("7", "expected an object"),
            (#"{"request":1}"#, "request: expected a string"),
            (#"{"request":"stop"}"#, "request: unknown request stop"),
            (#"{"request":"signal","all":true}"#, "signal: is missing"),
            (#"{"request":"signal","signal":9}"#, "all: is missing"),
            (#"{"request":"signal","signal":0,"all":true}"#, "signal: 0 is out of range"),
            (#"{"request":"signal","signal":65,"all":true}"#, "signal: 65 is out of range"),
            (
                #"{"request":"signal","signal":-9223372036854775808,"all":true}"#,
                "signal: -9223372036854775808 is out of range"
            ),
            (
                #"{"request":"signal","signal":18446744073709551615,"all":true}"#,
                "signal: 18446744073709551615 is out of range"
            ),
            (#"{"request":"signal","signal":9.5,"all":true}"#, "signal: expected an integer"),
            (#"{"request":"signal","signal":9,"all":1}"#, "all: expected a boolean"),
        ])
    func wrongRequests(text: String, reason: String) throws {
        let value = try JSONValue.parse(Array(text.utf8))
        let error = #expect(throws: JSONFieldError.self) { try ControlRequest(decoding: value) }
        #expect(error?.description.hasPrefix(reason) == true, "\(String(describing: error))")
    }

    @Test(
        "another form is an error that names the field",
        arguments: [
            ("{}", "event: is missing"), (#"{"event":"x"}"#, "event: unknown event x"),
            (#"{"event":"exited"}"#, "code: is missing"),
            (#"{"event":"exited","code":2147483648}"#, "code: 2147483648 is out of range"),
            (#"{"event":"failed","message":"m","exitCode":1,"console":[1]}"#, "console[0]: expected a string"),
            (#"{"event":"failed","exitCode":1,"console":[]}"#, "message: is missing"),
            (#"{"event":"failed","message":"m","console":[]}"#, "exitCode: is missing"),
            (#"{"event":"timeline","marks":[{"name":"x","time":1}]}"#, "marks[0].name: unknown mark"),
            (#"{"event":"timeline","marks":[{"name":"firstByte","time":-1}]}"#, "marks[0].time: -1 is out of range"),
            (#"{"event":"timeline","processorTimes":{"qemu":-1}}"#, "processorTimes.qemu: -1 is out of range"),
            (#"{"event":"console"}"#, "line: is missing"),
            (#"{"event":"timeline","marks":7}"#, "marks: expected an array"),
        ])
    func wrongEvents(text: String, reason: String) throws {
        let value = try JSONValue.parse(Array(text.utf8))
        let error = #expect(throws: JSONFieldError.self) { try ControlEvent(decoding: value) }
        #expect(error?.description.hasPrefix(reason) == true, "\(String(describing: error))")
    }

    @Test("a channel keeps messages apart, and tells the end")
    func channel() throws {
        let (first, second) = try Sockets.pair(.packets).split()
        let sender = ControlChannel(FileDescriptor(owning: first))
        let receiver = ControlChannel(FileDescriptor(owning: second))
        sender.send(ControlRequest.start.json)
        sender.send(ControlRequest.destroy.json)
        #expect(try receiver.receive() == ControlRequest.start.json)
        #expect(try receiver.receive() == ControlRequest.destroy.json)
        try receiver.socket.descriptor.setNonBlocking()
        #expect(throws: Errno.wouldBlock) { try receiver.receive() }
        for garbage in ["{", "\u{0}", "{} {}", String(repeating: "[", count: 1000)] {
            try Sockets.send(Array(garbage.utf8), descriptors: [], over: sender.socket.descriptor)
            #expect(throws: Errno.ioError) { try receiver.receive() }
        }
        try Sockets.shutdownBoth(sender.socket.descriptor)
        #expect(try receiver.receive() == nil)
        // Nobody is left to hear it, and that is no error.
        sender.send(ControlRequest.start.json)
    }

    @Test("a launcher that says what is no request is treated as gone")
    func launcher() throws {
        let (first, second) = try Sockets.pair(.packets, nonBlocking: true).split()
        let launcher = Launcher(channel: ControlChannel(FileDescriptor(owning: first)))
        let other = ControlChannel(FileDescriptor(owning: second))
        guard case .nothing = launcher.take() else { return #expect(Bool(false), "something was taken") }
        other.send(ControlRequest.signal(9, all: false).json)
        guard case .request(.signal(9, all: false)) = launcher.take() else { return #expect(Bool(false), "no request") }
        launcher.send(.created)
        #expect(try other.receive() == ControlEvent.created.json)
        other.send(["request": "fly"])
        guard case .gone = launcher.take() else { return #expect(Bool(false), "not gone") }
    }
}

struct LaunchRequestTests {
    static let sample: JSONValue = [
        "root": "/run/kvm-runtime", "id": "c1", "bundle": "/b", "rootfs": "/b/rootfs", "standIn": 77,
        "disks": [["name": "root", "source": "/i", "format": "erofs", "target": "", "readOnly": true]],
        "image": ["source": "/r", "format": "squashfs", "field": "vm.image.path"],
        "cgroup": [
            "places": [
                ["directory": "/d", "outside": "/o", "controllers": ["cpu"], "isUnified": false, "mount": "/m"]
            ], "unit": "u.scope",
        ],
        "sandbox": "other", "joins": [["container": "other", "namespaces": 0x4000_0000]],
        "followsLauncher": true, "removesAtExit": false, "consoleSocket": true, "waitsForHooks": false, "debug": false,
        "passed": 3, "listening": 1, "accelerated": false,
        "tscKilohertz": 2_400_000, "vcpus": 2, "memoryMiB": 512, "kernelParameters": ["debug"], "bootTimeout": 30,
        "rootfsCache": "auto", "volumeCache": "never", "sharesFileLocks": true, "pollMicroseconds": 100,
        "kernel": "/k", "initramfs": "/i",
        "vmm": "/v", "qemu": "/q", "virtiofsd": "/f", "hypervisorParameters": ["-x"],
    ]

    private func changed(_ key: String, _ value: JSONValue?) -> JSONValue {
        guard case .object(var object) = Self.sample else { return .null }
        object[key] = value
        return .object(object)
    }

    @Test("what is written is read")
    func roundTrip() throws {
        var request = try LaunchRequest(decoding: Self.sample)
        #expect(request.tscKilohertz == 2_400_000)
        #expect(request.followsLauncher && request.consoleSocket && !request.removesAtExit && !request.accelerated)
        #expect(try LaunchRequest(decoding: try JSONValue.parse(request.json.bytes())) == request)
        #expect(request.image?.machineDisk == .init(source: "/r", readOnly: true, name: "guest"))
        request.tscKilohertz = nil
        request.image = nil
        request.kernelParameters = []
        request.accelerated = true
        #expect(try LaunchRequest(decoding: try JSONValue.parse(request.json.bytes())) == request)
    }

    @Test("every field must be there and of its type")
    func fields() throws {
        guard case .object(let object) = Self.sample else { return }
        for member in object {
            // A list without entries may be left out, and the image that not every guest has.
            if !["kernelParameters", "hypervisorParameters", "joins", "disks", "image"].contains(member.key) {
                let missing = #expect(throws: JSONFieldError.self) {
                    try LaunchRequest(decoding: changed(member.key, nil))
                }
                #expect(missing?.description == "\(member.key): is missing")
            }
            let wrong = #expect(throws: JSONFieldError.self) {
                try LaunchRequest(decoding: changed(member.key, .number(0.5)))
            }
            #expect(wrong?.path == member.key)
        }
    }

    @Test(
        arguments: [
            ("bootTimeout", -1, "bootTimeout: -1 is out of range"),
            ("tscKilohertz", 4_294_967_296, "tscKilohertz: 4294967296 is out of range"),
            ("kernelParameters", [1], "kernelParameters[0]: expected a string"),
        ] as [(String, JSONValue, String)])
    func wrong(key: String, value: JSONValue, reason: String) {
        let error = #expect(throws: JSONFieldError.self) { try LaunchRequest(decoding: changed(key, value)) }
        #expect(error?.description.hasPrefix(reason) == true, "\(String(describing: error))")
    }

    @Test("changed bytes are refused or understood, and never trap")
    func mutated() {
        var random = SeededGenerator(state: 7)
        let good = Self.sample.bytes()
        var understood = 0
        for _ in 0..<3000 {
            var bytes = good
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                bytes[place] = Array("{}[]\",:0-9xé".utf8).randomElement(using: &random) ?? 0
            }
            guard let value = try? JSONValue.parse(bytes), let request = try? LaunchRequest(decoding: value) else {
                continue
            }
            understood += 1
            #expect((try? LaunchRequest(decoding: request.json)) == request)
        }
        #expect(understood > 100)
    }
}
