import AgentProtocol
import Glibc
import JSON
import LinuxSys
import VMDriver

/// Other containers that live in this one's guest (pods): each has a supervisor of its own, which is connected here for as
/// long as it lives, and talks to the agent through us.
extension Supervisor {
    /// Lets a container in; `stream` is where its supervisor's link to the agent goes.
    func join(_ caller: ControlCaller, _ container: String, _ cgroup: HostCgroup, stream: SharedDescriptor?) {
        func refuse(_ message: String) { caller.send(.failed(message: message, exitCode: 1, console: [])) }
        guard isServing, request.sandbox.isEmpty, let agent, let machine else {
            return refuse("container \(id) is not running, so there is no guest of its to join")
        }
        guard let stream, caller.member == nil, let number = freeMemberNumber() else {
            return refuse("the guest of \(id) can't take another container")
        }
        do throws(Errno) {
            let member = try SandboxMember(
                number: number, container: container, cgroup: cgroup, stream: stream, loop: loop
            ) { [unowned self] in handle($0, request: $1, of: number) }
            members[number] = member
            caller.member = number
            caller.gone = { [unowned self] in leave(number) }
            caller.send(
                .value([
                    "number": JSONValue(number), "memoryMiB": JSONValue(request.memoryMiB),
                    "processes": .object(
                        JSONObject(sorted: machine.processes.map { ($0.name, JSONValue($0.pid)) })),
                ]))
            caller.send(.done)
            let uptime = guestEntered.map { Clock.monotonicNanoseconds() - $0 } ?? 0
            member.send(.hello(Hello(kernel: agent.kernel, uptime: uptime)))
        } catch {
            refuse("the guest of \(id): \(error)")
        }
    }

    /// Numbers are used again as late as can be: what comes late from a container that has left is nobody's.
    private func freeMemberNumber() -> UInt32? {
        for _ in 0..<SandboxMember.most {
            nextMember = nextMember >= SandboxMember.most ? 1 : nextMember + 1
            if members[nextMember] == nil { return nextMember }
        }
        return nil
    }

    /// A tree for a container that has joined.
    func share(_ tree: VMPlan.SharedTree, for caller: ControlCaller) {
        guard let number = caller.member, let member = members[number], let machine,
            tree.name.hasPrefix(member.treePrefix)
        else { return caller.send(.failed(message: "no tree of this connection", exitCode: 1, console: [])) }
        member.trees.append(tree.name)
        machine.share(tree) { error in
            // Who asked knows what for.
            caller.send(error.map { .failed(message: $0.description, exitCode: 1, console: []) } ?? .done)
        }
    }

    func unshare(_ name: String, for caller: ControlCaller) {
        guard let number = caller.member, let member = members[number],
            let index = member.trees.firstIndex(of: name)
        else { return }
        member.trees.remove(at: index)
        machine?.unshare(tree: name)
    }

    private func handle(_ message: HostMessage, request: UInt32, of number: UInt32) {
        guard let member = members[number], let agent else { return }
        if case .welcome = message { return }
        guard message.container == member.container else {
            let failure = Failure(kind: .state, message: "the guest is that of \(id)")
            return member.send(.failed(failure), request: request)
        }
        agent.send(message) { result in
            switch result {
            case .success(let answer): member.send(answer, request: request)
            case .failure(let error):
                member.send(.failed(Failure(kind: .guest, message: error.description)), request: request)
            }
        }
    }

    /// What the agent says of another container; false if there is none of that name.
    func tellMember(_ container: String, _ message: GuestMessage) -> Bool {
        guard let member = members.values.first(where: { $0.container == container }) else { return false }
        member.send(message)
        return true
    }

    /// A member's supervisor has gone. Usually its container has too; if not, it goes now.
    private func leave(_ number: UInt32) {
        guard let member = members.removeValue(forKey: number) else { return }
        member.close()
        guard let agent, phase < .ending else { return }
        let name = ProcessName(member.container)
        agent.send(.signal(SendSignal(process: name, signal: UInt8(SIGKILL), all: true))) { [weak self] _ in
            // Its processes have their files until they are gone.
            self?.loop.after(milliseconds: 1000) { [weak self] in
                for tree in member.trees { self?.machine?.unshare(tree: tree) }
            }
            self?.endOrLinger()
        }
    }

    /// All of this container is done. The guest goes with it, unless others are still in it; those it waits for, and all
    /// that is on the host of this container can meanwhile be deleted: the machine moves to another's cgroup.
    func endOrLinger() {
        guard phase >= .exited, phase < .ending, isDone else { return }
        // Who ran it in the foreground waits for the end of all.
        guard !request.followsLauncher, let member = members.values.first else {
            return lingers ? shutDown() : end()
        }
        member.cgroup.adopt((machine?.processes.map(\.pid) ?? []) + [getpid()])
        guard !lingers else { return }
        lingers = true
        record.supervisor = .init(pid: 0, startTime: 0)
        updateRecord(.stopped)
        stdio?.close()
        standIn.exit(exit?.shellCode ?? 1)
    }
}
