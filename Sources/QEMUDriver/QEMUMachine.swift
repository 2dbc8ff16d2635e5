import Glibc
import LinuxSys
import Spawn
import VMDriver
import VMMWire

/// One QEMU with its back ends, watched from the owner's loop.
final class QEMUMachine: VirtualMachine {
    private final class Member {
        let name: String
        let process: ChildProcess
        let complaints: Complaints
        var token: EventLoop.Token?
        var reaped = false
        var processorTime: UInt64 = 0

        init(name: String, process: consuming ChildProcess, complaints: Complaints) {
            self.name = name
            self.process = process
            self.complaints = complaints
        }
    }

    private let loop: EventLoop
    private let events: (VMEvent) -> Void
    private var members: [Member] = []
    private var control: SharedDescriptor?
    private var console: SharedDescriptor?
    private var controlToken: EventLoop.Token?
    private var consoleToken: EventLoop.Token?
    private var trees: SharedDescriptor?
    private var treesToken: EventLoop.Token?
    /// Of those who asked for trees, in the order in which the device answers.
    private var treeWaiters: [(Errno?) -> Void] = []
    private var decoder = QMPDecoder()
    /// The guest ended the machine (QMP said so): QEMU's exit that follows is no failure.
    private var guestEnded = false
    private var ended = false

    init(loop: EventLoop, events: @escaping (VMEvent) -> Void) {
        self.loop = loop
        self.events = events
    }

    var processes: [(name: String, pid: pid_t)] { members.map { ($0.name, $0.process.pid) } }

    var processorTimes: [(name: String, microseconds: UInt64)] {
        members.filter(\.reaped).map { ($0.name, $0.processorTime) }
    }

    func add(_ name: String, _ process: consuming ChildProcess, _ complaints: Complaints) {
        members.append(Member(name: name, process: process, complaints: complaints))
    }

    func attach(control: consuming FileDescriptor, console: consuming FileDescriptor) throws(Errno) {
        let control = SharedDescriptor(control)
        let console = SharedDescriptor(console)
        try control.descriptor.setNonBlocking()
        try console.descriptor.setNonBlocking()
        self.control = control
        self.console = console
        try watchConsole()
        controlToken = try loop.watch(control.raw, .readable) { [weak self] _ in self?.readControl() }
        for member in members {
            member.token = try loop.watch(member.process.raw, .readable) { [weak self, weak member] _ in
                if let self, let member { self.died(member) }
            }
        }
    }

    /// The socket over which the file system device is told of trees, and tells of changes.
    func attach(trees: SharedDescriptor) throws(Errno) {
        self.trees = trees
        try trees.descriptor.setNonBlocking()
        treesToken = try loop.watch(trees.raw, .readable) { [weak self] _ in self?.readTrees() }
    }

    private func readTrees() {
        guard let trees,
            let (bytes, _) = try? Sockets.receiveMessage(
                upTo: DeviceWord.mostBytes, descriptors: 0, from: trees.descriptor)
        else { return }
        // The end; or what is no word, of which nothing is to be expected any more.
        guard !bytes.isEmpty, let word = DeviceWord(bytes) else {
            unwatch(&treesToken)
            for waiter in treeWaiters { waiter(.brokenPipe) }
            treeWaiters = []
            return
        }
        switch word {
        case .changed(let change): events(.fileChanged(change))
        case .answer(let code):
            if !treeWaiters.isEmpty { treeWaiters.removeFirst()(code == 0 ? nil : Errno(rawValue: code)) }
        }
    }

    func share(_ tree: VMPlan.SharedTree, done: @escaping (VMError?) -> Void) {
        // Debian's virtiofsd has one tree, and that is that.
        guard let trees, treesToken != nil else { return done(VMError("\(Errno.notSupported)")) }
        do throws(Errno) {
            let opened = try FileShare.open(tree)
            try Sockets.send(
                opened.message.bytes, descriptors: opened.descriptors.map(\.raw), over: trees.descriptor)
            treeWaiters.append { errno in done(errno.map { VMError(FileShare.words($0)) }) }
        } catch {
            done(VMError("\(error)"))
        }
    }

    func unshare(tree: String) {
        guard treesToken != nil, let trees else { return }
        let message = TreeMessage.remove(name: tree)
        // What was not sent has no answer.
        guard (try? Sockets.send(message.bytes, descriptors: [], over: trees.descriptor)) != nil else { return }
        treeWaiters.append { _ in }
    }

    func watch(tree: String, inodes: [UInt64]) { tell(.watch(tree: tree, inodes: inodes)) }
    func fileChangeHandled() { tell(.changeHandled) }

    /// A device that does not listen any more is about to be seen to end.
    private func tell(_ message: TreeMessage) {
        if let trees { _ = try? Sockets.send(message.bytes, descriptors: [], over: trees.descriptor) }
    }

    /// A serial port speaks byte by byte, and each byte would wake us: what came within a while is read at once.
    private func watchConsole() throws(Errno) {
        guard let console else { return }
        consoleToken = try loop.watch(console.raw, .readable) { [weak self] _ in
            guard let self else { return }
            unwatch(&consoleToken)
            loop.after(milliseconds: 25) { [weak self] in
                guard let self, !ended, readConsole() else { return }
                try? watchConsole()
            }
        }
    }

    private func unwatch(_ token: inout EventLoop.Token?) {
        if let token { loop.unwatch(token) }
        token = nil
    }

    /// Hands over what is there; false at the end.
    @discardableResult
    private func readConsole() -> Bool {
        guard let console else { return false }
        while let bytes = try? console.descriptor.read(upTo: 16384) {
            if bytes.isEmpty { return false }
            events(.console(bytes))
        }
        return true
    }

    private func readControl() {
        guard let control, let bytes = try? control.descriptor.read(upTo: 16384) else { return }
        guard !bytes.isEmpty, let messages = try? decoder.decode(bytes) else {
            // The end, or nonsense: QEMU's own end tells the rest.
            unwatch(&controlToken)
            return
        }
        for message in messages {
            switch message {
            case .greeting: _ = try? control.descriptor.write(QMPCommand.enable.bytes)
            case .shutdown: guestEnded = true
            case .reply, .error, .otherEvent: break
            }
        }
    }

    private func died(_ member: Member) {
        unwatch(&member.token)
        guard let end = try? member.process.poll() else { return }
        let status = end.status
        member.reaped = true
        member.processorTime = end.processorTime
        guard !ended else { return }
        // The back ends end when QEMU does, and perhaps are seen first.
        if member.name != "qemu", status == .exited(code: 0) { return }
        ended = true
        readControl()
        readConsole()
        let orderly = member.name == "qemu" && status == .exited(code: 0) && guestEnded
        let words = member.complaints.last
        events(.ended(orderly ? .guestReset : .processDied(name: member.name, status: status, complaint: words)))
    }

    func kill() {
        ended = true
        unwatch(&controlToken)
        unwatch(&consoleToken)
        unwatch(&treesToken)
        for member in members where !member.reaped {
            unwatch(&member.token)
            member.process.send(SIGKILL)
        }
        for member in members where !member.reaped {
            member.processorTime = (try? member.process.waitForEnd())?.processorTime ?? 0
            member.reaped = true
        }
        control = nil
        console = nil
        trees = nil
    }

    deinit { kill() }
}
