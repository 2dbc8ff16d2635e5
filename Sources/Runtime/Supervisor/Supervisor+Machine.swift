import Glibc
import LinuxSys
import OCISpec
import QEMUDriver
import StateStore
import VMDriver
import VMMWire

/// The sandbox's virtual machine.
extension Supervisor {
    func startMachine() throws {
        try listenForAgent()
        if request.virtiofsd != nil { _ = try once { mkdir(directory.path + "/share", 0o700) } }
        let driver = QEMUDriver(
            programs: .init(qemu: request.qemu, virtiofsd: request.virtiofsd, vmm: request.vmm))
        machine = try driver.start(machinePlan, in: directory, loop: loop) { [unowned self] in machineEvent($0) }
    }

    /// Has another container's guest for its own.
    func joinSandbox() throws {
        guard let owner = ContainerID(request.sandbox) else {
            throw RuntimeError("invalid container ID: \(request.sandbox)")
        }
        let sandbox = try JoinedSandbox(
            owner, container: id.text, cgroup: request.cgroup, in: store, loop: loop
        ) { [unowned self] in machineEvent($0) }
        machine = sandbox
        treePrefix = SandboxMember.treePrefix(sandbox.number)
        firstProcess = sandbox.number * SandboxMember.processes
        lastProcess = firstProcess
        record.sandbox = owner.text
        record.memoryMiB = sandbox.memoryMiB
        // Where those who open streams look for it; its owner's may be deleted first.
        _ = try once {
            linkat(
                AT_FDCWD, "\(store.directory(of: owner))/\(VsockSocketName.toGuest)", directory.descriptor.raw,
                VsockSocketName.toGuest, 0)
        }
        for tree in machinePlan.trees { try sandbox.give(tree) }
        try sandbox.watch()
        agent = try AgentLink(loop: loop, stream: sandbox.stream.descriptor.duplicate()) { [unowned self] in
            agentEvent($0)
        }
    }

    var machinePlan: VMPlan {
        // An image takes the place of the directory.
        let trees =
            request.disks.contains(where: \.isRoot)
            ? []
            : [
                VMPlan.SharedTree(
                    source: request.rootfs, name: treePrefix + "rootfs", readOnly: false, recursive: true,
                    cache: request.rootfsCache)
            ]
        let binds = sharedMounts.map { index, kind in
            let mount = spec.mounts[index]
            var tree = VMPlan.SharedTree(
                source: "", name: bindName(index), readOnly: mount.isReadOnly, recursive: mount.isRecursive,
                cache: request.volumeCache)
            switch kind {
            case .tree(let source): tree.source = source
            case .overlay(let options): tree.overlay = options
            case .socket, .device: break
            }
            tree.idMap = spec.idMap(of: mount)
            return tree
        }
        var plan = VMPlan(
            name: id.text, accelerator: request.accelerated ? .kvm : .emulation, vcpus: request.vcpus,
            memoryMiB: request.memoryMiB, kernel: request.kernel, initramfs: request.initramfs,
            kernelParameters: request.kernelParameters, tscKilohertz: request.tscKilohertz, shareTag: "kvmfs",
            trees: trees + binds + passed.trees(passedPrefix, cache: request.volumeCache),
            disks: request.disks.map(\.machineDisk), sharesFileLocks: request.sharesFileLocks,
            pollMicroseconds: request.pollMicroseconds)
        // The last, so that the container's disks have the names that they have without it.
        if let image = request.image { plan.disks.append(image.machineDisk) }
        // Trees of later, of a pod's members and of execs, are cached by these rules too.
        plan.gathersFileWrites = request.rootfsCache == .always && request.volumeCache == .always
        plan.hypervisorParameters = request.hypervisorParameters
        return plan
    }

    /// What the names of its process's descriptors begin with, in the guest's share.
    var passedPrefix: String { "\(treePrefix)fd-" }

    var bindNames: [String] { sharedMounts.map { bindName($0.mount) } }
    /// Those mounts that the guest has of its share.
    var sharedMounts: [(mount: Int, kind: MountSource)] {
        spec.mountSources(bundle: request.bundle).filter {
            switch $0.kind {
            case .tree, .overlay: true
            case .socket, .device: false
            }
        }
    }
    /// The agent takes requests.
    var isServing: Bool { phase >= .created && phase < .exited }

    func bindName(_ index: Int) -> String { "\(treePrefix)bind-\(index)" }

    // MARK: The machine

    func machineEvent(_ event: VMEvent) {
        switch event {
        case .console(let bytes): console.append(bytes)
        case .fileChanged(let change): tellAgent(change)
        case .ended(let end):
            timeline.mark(.machineEnded)
            if phase >= .ending { return self.end() }
            switch end {
            case .guestLeft(let owner):
                fail(
                    RuntimeError(
                        "container \(owner), in whose guest this one was, has ended", exitCode: 128 + SIGKILL))
            case .guestReset: failGuest("the guest stopped unexpectedly (its kernel panicked or reset)")
            case .processDied(let name, let status, let complaint):
                if request.cgroup.oomKills > 0 { return fail(HostCgroup.outOfMemory(name)) }
                let words = complaint.split(whereSeparator: \.isNewline).last.map { ": \($0)" } ?? ""
                failGuest("\(name) \(status.words)\(words)")
            }
        }
    }
}
