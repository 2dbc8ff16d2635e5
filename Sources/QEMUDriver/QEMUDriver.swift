import Glibc
import LinuxSys
import Spawn
import VMDriver

/// Machines by QEMU's `microvm`. Its devices are ours, over vhost-user (kvm-vmm).
public struct QEMUDriver: VMDriver {
    public struct Programs: Equatable, Sendable {
        public var qemu: String
        /// Serves the files in the place of our own device, to compare the two.
        public var virtiofsd: String?
        public var vmm: String

        public init(qemu: String, virtiofsd: String?, vmm: String) {
            self.qemu = qemu
            self.virtiofsd = virtiofsd
            self.vmm = vmm
        }
    }

    /// The guest's address on its vsock. Every sandbox has a vsock of its own, so all can have the same.
    static let guestCID = 3

    /// MiB of translated code that emulation keeps: without a word it would be 1 GiB.
    public static let translationMiB = 256

    let programs: Programs

    public init(programs: Programs) { self.programs = programs }

    /// A microvm without ACPI has eight places for virtio devices; three are taken (vsock, files, balloon).
    public var capabilities: VMCapabilities {
        VMCapabilities(freePageReporting: true, maximumVCPUs: 64, maximumDisks: 5)
    }

    public func start(
        _ plan: VMPlan, in directory: SandboxDirectory, loop: EventLoop, events: @escaping (VMEvent) -> Void
    ) throws(VMError) -> any VirtualMachine {
        do {
            let machine = QEMUMachine(loop: loop, events: events)
            do {
                try launch(plan, directory, machine)
            } catch {
                machine.kill()
                throw error
            }
            return machine
        } catch let error as VMError {
            throw error
        } catch let error as SpawnError {
            throw VMError(error.description)
        } catch let error as Errno {
            throw VMError("can't start the virtual machine: \(error)")
        } catch {
            throw VMError("can't start the virtual machine: \(error)")
        }
    }

    private func launch(_ plan: VMPlan, _ directory: SandboxDirectory, _ machine: QEMUMachine) throws {
        guard plan.disks.count <= capabilities.maximumDisks else {
            throw VMError(
                "\(plan.disks.count) disk images are too many: a guest has room for \(capabilities.maximumDisks) "
                    + "(a microvm has eight virtio devices, and three are taken)")
        }
        let disks = try plan.disks.map { disk throws(VMError) in try DiskShare(disk) }
        let null = try FileDescriptor.open("/dev/null", O_RDWR)
        let complaints = (qemu: try Complaints(), vmm: try Complaints())

        // QEMU waits for its back ends by itself, so all start at once.
        let control = try Sockets.pair()
        let console = try Sockets.pair()
        let vsock = try Sockets.pair()
        var vmm = Program(
            path: programs.vmm,
            arguments: [
                "--poll-microseconds", "\(plan.pollMicroseconds)", "vsock", "--vhost-user-fd", "3", "--directory-fd",
                "4", "--cid", "\(Self.guestCID)",
            ],
            descriptors: [
                0: null.raw, 1: complaints.vmm.descriptor, 2: complaints.vmm.descriptor, 3: vsock.first.raw,
                4: directory.descriptor.raw,
            ])
        vmm.noNewPrivileges = true
        let share: FileShare
        if let virtiofsd = programs.virtiofsd {
            let words = try Complaints()
            let listener = try VirtiofsListener(directory)
            machine.add(
                "virtiofsd",
                try VirtiofsProgram(path: virtiofsd, plan: plan, directory: directory)
                    .program(listener, null.raw, words.descriptor).start(), words)
            share = FileShare(connection: try listener.connection.duplicate())
        } else {
            share = try FileShare.adding(to: &vmm, plan)
        }
        var qemu = Program(
            path: programs.qemu, arguments: QEMUPlan(plan: plan).arguments,
            descriptors: [
                0: null.raw, 1: complaints.qemu.descriptor, 2: complaints.qemu.descriptor,
                QEMUPlan.Inherited.control: control.second.raw, QEMUPlan.Inherited.console: console.second.raw,
                QEMUPlan.Inherited.vsock: vsock.second.raw, QEMUPlan.Inherited.share: share.connection.raw,
            ])
        for (index, disk) in disks.enumerated() { try disk.add(to: &vmm, &qemu, index: index) }
        qemu.noNewPrivileges = true
        machine.add("qemu", try qemu.start(), complaints.qemu)
        machine.add("kvm-vmm", try vmm.start(), complaints.vmm)
        // Both have what they inherit; until here only its numbers were known.
        withExtendedLifetime(disks) {}
        if let trees = try share.send() { try machine.attach(trees: trees) }
        try machine.attach(control: control.first.duplicate(), console: console.first.duplicate())
    }
}
