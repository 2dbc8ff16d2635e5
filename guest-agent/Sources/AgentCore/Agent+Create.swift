import AgentProtocol
import CLinux
import Cgroup
import Jail
import LinuxSys

extension Agent {
    /// Begins to make a container. nil: it goes on, and is answered when it is ready.
    func create(_ create: CreateContainer, request: UInt32) -> Failure? {
        guard containers[create.container] == nil else {
            return Failure(kind: .state, message: "container \(create.container) exists already")
        }
        GuestConsole.trace("create")
        do throws(Failure) {
            try make(create, request: request)
            return nil
        } catch {
            unmountDisks(of: create.container)
            return error
        }
    }

    private func mountDisks(_ create: CreateContainer) throws(Failure) {
        for disk in create.disks {
            try Disks.mount(disk)
            disks[create.container, default: []].append(disk)
            GuestConsole.trace("disk")
        }
    }

    private func unmountDisks(of id: String) {
        for disk in disks.removeValue(forKey: id) ?? [] { Disks.unmount(disk.name) }
    }

    private func make(_ create: CreateContainer, request: UInt32) throws(Failure) {
        let share = try mountShare(create.shareTag)
        made += 1
        let root = "\(World.directory)/root/\(made)"
        let sockets = "\(World.directory)/sockets/\(made)"
        let plan: FlatPlan
        do throws(WireError) {
            plan = try FlatPlan(create.plan, share: share, root: root, sockets: sockets)
        } catch {
            throw Failure(kind: .guest, message: "the plan could not be read: \(error)")
        }
        GuestConsole.trace("plan")
        try mountDisks(create)
        try join(create.joins, plan)
        if !plan.hasMountNamespace { World.makeForSharing() }
        giveNetwork(plan)
        let cgroup = try makeCgroup(create)
        GuestConsole.trace("cgroup")
        do throws(Errno) {
            _ = try once { mkdir(root, 0o700) }
            let channels = try Channels(loop, create.stdio, create.passed, share: share)
            let id = create.container
            defer { if containers[id] == nil { channels.close() } }
            let relays = try SocketRelays(
                loop, in: sockets, create.sockets, number: { [self] in nextSocketStream() },
                opened: { [self] in
                    reply(.socketOpened(SocketOpened(container: id, mount: $0, stream: $1)), to: 0)
                })
            let callbacks = Container.Callbacks(
                answer: { [self] in answered($1, to: $0) }, tell: { [self] in reply($0, to: 0) },
                gone: { [self] in gone(id, $0) })
            // What listens must not outlive a container that was not to be.
            defer { if containers[id] == nil { relays.close() } }
            let container = try Container(
                request, id: id, plan: plan, share: share, channels: channels, sockets: relays, cgroup: cgroup,
                loop: loop, callbacks: callbacks)
            containers[id] = container
            watchBinds(create, in: share)
            GuestConsole.trace("spawned")
            container.watchMemory()
            for stream in channels.missing {
                if let parked = streams?.take(stream) { _ = container.attach(stream, parked) }
            }
        } catch {
            cgroup.remove()
            rmdir(root)
            throw Failure(kind: .guest, message: "making the container's first process: \(error.words)")
        }
    }

    private func join(_ joins: [NamespaceJoin], _ plan: FlatPlan) throws(Failure) {
        var others: [(init: SharedDescriptor, namespaces: UInt64)] = []
        for join in joins {
            guard let other = containers[join.container], let reference = other.initReference else {
                throw Failure(
                    kind: .state, message: "container \(join.container), whose namespaces are asked for, does not run")
            }
            others.append((reference, join.namespaces))
        }
        plan.join(others)
    }

    /// The first container that wants a network of its own gets the guest's: nothing of the guest's uses it, and making
    /// another takes some 10 ms of a start under emulation. No other container that wants its own gets it from then on.
    private func giveNetwork(_ plan: FlatPlan) {
        if plan.joinsNetwork { return }
        guard plan.hasNetworkNamespace else {
            World.makeNetwork()
            networkIsGiven = true
            return
        }
        // A network namespace of its own belongs to its user namespace.
        if networkIsGiven || plan.hasUserNamespace { return }
        networkIsGiven = true
        plan.keepNetwork()
    }

    private func nextSocketStream() -> UInt32 {
        defer { socketStream = socketStream == .max ? SocketOpened.first : socketStream + 1 }
        return socketStream
    }

    private func answered(_ message: GuestMessage, to request: UInt32) {
        GuestConsole.trace("answered")
        reply(message, to: request)
    }

    /// The host's changes in binds are to be seen by those who watch them.
    private func watchBinds(_ create: CreateContainer, in share: String) {
        if create.watched.isEmpty { return }
        scanners[create.container] = WatchScanner(loop, share: share, trees: create.watched) { [self] in
            reply(.watching($0), to: 0)
        }
    }

    private func gone(_ id: String, _ exit: ProcessExit?) {
        containers[id] = nil
        scanners.removeValue(forKey: id)?.stop()
        unmountDisks(of: id)
        GuestConsole.trace("gone")
        if let exit { reply(.exited(exit), to: 0) }
    }

    private func mountShare(_ tag: String) throws(Failure) -> String {
        if let mounted = shares[tag] { return mounted }
        guard !tag.isEmpty, tag != ".", tag != "..", !tag.utf8.contains(UInt8(ascii: "/")) else {
            throw Failure(kind: .guest, message: "the share's tag is no name")
        }
        let path = "\(World.directory)/share/\(tag)"
        mkdir(path, 0o700)
        guard mount(tag, path, "virtiofs", 0, nil) == 0 else {
            throw Failure(kind: .guest, message: "mounting the share \(tag): \(Errno.current.words)")
        }
        shares[tag] = path
        World.readAhead(of: path)
        GuestConsole.trace("share")
        return path
    }

    /// Without a limit of its own a container has what the guest has to spare: to take the rest too would be the end of
    /// the guest, where a limit is that of a process.
    private func keepMemory(from cgroup: Cgroup, _ settings: [CgroupSetting]) throws(CgroupError) {
        if settings.contains(where: { $0.file == "memory.max" && $0.value != "max" }) { return }
        guard let available = Guest.availableMemory(), available > 2 * Guest.keptMemory else { return }
        try cgroup.apply([CgroupSetting("memory.max", String(available - Guest.keptMemory))])
    }

    private func makeCgroup(_ create: CreateContainer) throws(Failure) -> Cgroup {
        let cgroup: Cgroup
        do throws(Errno) {
            cgroup = try cgroups.make(create.cgroup)
        } catch {
            throw Failure(kind: .container, message: "cgroup /\(create.cgroup.joined(separator: "/")): \(error.words)")
        }
        do throws(CgroupError) {
            try cgroup.apply(create.settings)
            try keepMemory(from: cgroup, create.settings)
            if !create.deviceFilter.isEmpty { try cgroup.filterDevices(create.deviceFilter) }
        } catch {
            cgroup.remove()
            throw Failure(kind: .container, message: "\(error)")
        }
        return cgroup
    }
}
