import AgentProtocol
import Glibc
import LinuxSys
import Testing

@testable import Runtime

/// A link with a fake agent at the other end, which says what the test wants.
private final class FakeAgent {
    let loop: EventLoop
    var events: [String] = []
    var answers: [String] = []
    var link: AgentLink?
    private var stream: SharedDescriptor?
    private var decoder = FrameDecoder()

    init() throws {
        Signals.ignore(SIGPIPE)
        loop = try EventLoop()
        let (host, guest) = try Sockets.pair().split()
        let stream = SharedDescriptor(FileDescriptor(owning: guest))
        try stream.descriptor.setNonBlocking()
        self.stream = stream
        link = try AgentLink(loop: loop, stream: FileDescriptor(owning: host)) { [unowned self] event in
            switch event {
            case .hello(let hello): events.append("hello \(hello.kernel)")
            case .exited(let exit): events.append("exited \(exit.process.container)")
            case .outOfMemory(let container, let count): events.append("oom \(container) \(count)")
            case .watching(let files): events.append("watching \(files.tree)")
            case .socketOpened(let opened): events.append("socket \(opened.mount) \(opened.stream)")
            case .lost(let reason): events.append("lost: \(reason)")
            }
        }
    }

    /// Sends a request of the host, and notes its answer under `name`.
    func request(_ name: String, _ message: HostMessage = .shutdown) {
        link?.send(message) { [unowned self] result in
            switch result {
            case .success(.failed(let failure)): answers.append("\(name): failed \(failure.message)")
            case .success(let message): answers.append("\(name): \(message)")
            case .failure(let error): answers.append("\(name): lost, \(error)")
            }
        }
    }

    func say(_ message: GuestMessage, _ request: UInt32 = 0) throws {
        try say(bytes: message.frame(request: request).encoded)
    }

    func say(bytes: [UInt8]) throws {
        _ = try stream?.descriptor.write(bytes)
        turn()
    }

    func turn() {
        for _ in 0..<3 { try? loop.turn(atMostMilliseconds: 0) }
    }

    func hangUp() {
        stream = nil
        turn()
    }

    /// What the host has said so far.
    func heard(upTo count: Int = 1 << 20) throws -> [Frame] {
        if let bytes = try? stream?.descriptor.read(upTo: count) { decoder.append(bytes) }
        var frames: [Frame] = []
        while let frame = try decoder.next() { frames.append(frame) }
        return frames
    }
}

struct AgentLinkTests {
    private let hello = GuestMessage.hello(Hello(kernel: "6.12", uptime: 1))

    @Test("an answer goes to the request that it names, in whatever order")
    func matched() throws {
        let agent = try FakeAgent()
        agent.request("one", .start(container: "a"))
        agent.request("two", .start(container: "b"))
        agent.request("three", .start(container: "c"))
        let frames = try agent.heard()
        #expect(
            try frames.map { try HostMessage($0) } == [
                .start(container: "a"), .start(container: "b"), .start(container: "c"),
            ])
        #expect(Set(frames.map(\.request)).count == 3 && !frames.map(\.request).contains(0))
        try agent.say(.failed(Failure(kind: .state, message: "no")), frames[2].request)
        try agent.say(.done, frames[0].request)
        #expect(agent.answers == ["three: failed no", "one: done"])
        try agent.say(.created(Created(pid: 3, rootfsMounted: 4)), frames[1].request)
        #expect(agent.answers.count == 3 && agent.answers[2].hasPrefix("two: created"))
        #expect(agent.events == [])
    }

    @Test("what needs no answer has no number")
    func unanswered() throws {
        let agent = try FakeAgent()
        agent.link?.send(.shutdown)
        #expect(try agent.heard() == [HostMessage.shutdown.frame(request: 0)])
    }

    @Test("events come in order, also byte by byte and several in one read")
    func events() throws {
        let agent = try FakeAgent()
        for byte in hello.frame(request: 0).encoded { try agent.say(bytes: [byte]) }
        #expect(agent.events == ["hello 6.12"])
        let exits = ["a", "b"].map {
            GuestMessage.exited(ProcessExit(process: ProcessName($0), signal: nil, code: 0, oomKilled: false))
        }
        try agent.say(bytes: exits.flatMap { $0.frame(request: 0).encoded })
        #expect(agent.events == ["hello 6.12", "exited a", "exited b"])
    }

    @Test(
        "an answer to what was not asked loses the link, and everyone who waits hears of it",
        arguments: [0, 2, 77, UInt32.max])
    func unknownRequest(number: UInt32) throws {
        let agent = try FakeAgent()
        agent.request("one")
        try agent.say(.done, number)
        #expect(agent.events == ["lost: the agent answered a request that was not made"])
        #expect(agent.answers == ["one: lost, the agent answered a request that was not made"])
        // Nothing follows.
        try agent.say(hello)
        agent.hangUp()
        #expect(agent.events.count == 1 && agent.answers.count == 1)
    }

    @Test("so does a second answer")
    func answeredTwice() throws {
        let agent = try FakeAgent()
        agent.request("one")
        try agent.say(bytes: [GuestMessage.done, .done].flatMap { $0.frame(request: 1).encoded })
        #expect(agent.answers == ["one: done"])
        #expect(agent.events == ["lost: the agent answered a request that was not made"])
    }

    @Test func greetedTwice() throws {
        let agent = try FakeAgent()
        try agent.say(hello)
        try agent.say(hello)
        #expect(agent.events == ["hello 6.12", "lost: the agent greeted twice"])
    }

    @Test(
        "what is no message loses the link",
        arguments: [
            ([5, 0, 0, 0, 0, 0, 0, 0, 1], "unknown kind of message 1"),
            ([5, 0, 0, 0, 0, 0, 0, 0, 255], "unknown kind of message 255"),
            ([0, 0, 0, 0], "the message is cut short"), ([5, 0, 0, 0, 0, 0, 0, 0, 129], "the message is cut short"),
            ([6, 0, 0, 0, 0, 0, 0, 0, 130, 0], "1 bytes too many"),
            ([255, 255, 255, 255], "frame has 4294967295 bytes, at most 8388608 are allowed"),
        ] as [([UInt8], String)])
    func garbage(bytes: [UInt8], reason: String) throws {
        let agent = try FakeAgent()
        agent.request("one")
        try agent.say(bytes: bytes + hello.frame(request: 0).encoded)
        #expect(agent.events == ["lost: the agent sent what is no message: \(reason)"])
        #expect(agent.answers.count == 1 && agent.answers[0].hasPrefix("one: lost"))
    }

    @Test("what came before the garbage counts")
    func beforeGarbage() throws {
        let agent = try FakeAgent()
        try agent.say(bytes: hello.frame(request: 0).encoded + [1, 0, 0, 0])
        #expect(agent.events == ["hello 6.12", "lost: the agent sent what is no message: the message is cut short"])
    }

    @Test func hangUp() throws {
        let agent = try FakeAgent()
        agent.request("one")
        try agent.say(bytes: [9, 0])
        agent.hangUp()
        #expect(
            agent.events == ["lost: the agent closed its connection"]
                || agent.events == ["lost: the connection to the agent broke: Connection reset by peer"])
        #expect(agent.answers.count == 1 && agent.answers[0].hasPrefix("one: lost"))
    }

    @Test("a closed link is silent")
    func closed() throws {
        let agent = try FakeAgent()
        agent.request("one")
        agent.link?.close()
        try agent.say(.done, 1)
        agent.hangUp()
        #expect(agent.events == [] && agent.answers == [])
    }

    @Test("a request larger than the socket's buffer is sent as the agent takes it, and the others behind it")
    func large() throws {
        let agent = try FakeAgent()
        let create = HostMessage.create(
            CreateContainer(
                container: "c", plan: pattern(4 << 20, seed: 5), shareTag: "t", cgroup: [],
                stdio: .pipes(stdin: nil, stdout: nil, stderr: nil)))
        agent.request("create", create)
        agent.request("start", .start(container: "c"))
        var frames: [Frame] = []
        for _ in 0..<10_000 where frames.count < 2 {
            frames += try agent.heard(upTo: 50_000)
            agent.turn()
        }
        try #require(frames.count == 2)
        #expect(frames[0] == create.frame(request: 1))
        #expect(frames[1] == HostMessage.start(container: "c").frame(request: 2))
    }

    @Test("noise ends in a lost link or in nothing, and never traps")
    func noise() throws {
        var random = SeededGenerator(state: 8)
        for _ in 0..<200 {
            let agent = try FakeAgent()
            agent.request("one")
            for _ in 0..<5 {
                var bytes = [hello, .done, .failed(Failure(kind: .guest, message: "x"))].flatMap {
                    $0.frame(request: 1).encoded
                }
                for _ in 0..<Int.random(in: 0...2, using: &random) {
                    bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
                }
                try? agent.say(bytes: bytes)
            }
            #expect(agent.events.count { $0.hasPrefix("lost") } <= 1 && agent.answers.count <= 1)
        }
    }
}
