import Glibc
import LinuxSys
import Spawn
import VMDriver

/// Machines by QEMU's `microvm`. Its devices are ours, over vhost-user (kvm-vmm), but for the file system, which is
/// virtiofsd for now.
public struct QEMUDriver: VMDriver {
    public struct Programs: Equatable, Sendable {
        public var qemu: String
        public var virtiofsd: String
        public var vmm: String

        public init(qemu: String, virtiofsd: String, vmm: String) {
            self.qemu = qemu
            self.virtiofsd = virtiofsd
            self.vmm = vmm
        }
    }

    /// The guest's address on its vsock. Every sandbox has a vsock of its own, so all can have the same.
    static let guestCID = 3

    let programs: Programs

    public init(programs: Programs) { self.programs = programs }

    public var capabilities: VMCapabilities { VMCapabilities(freePageReporting: true, maximumVCPUs: 64) }

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
        let null = try FileDescriptor.open("/dev/null", O_RDWR)
        let complaints = (qemu: try Complaints(), vmm: try Complaints(), virtiofsd: try Complaints())

        // QEMU waits for its back ends by itself, so all three start at once; the one that takes longest first.
        let control = try Sockets.pair()
        let console = try Sockets.pair()
        let vsock = try Sockets.pair()
        let share = try VirtiofsListener(directory)
        let virtiofsd = virtiofsd(plan, directory, share, null.raw, complaints.virtiofsd.descriptor)
        machine.add("virtiofsd", try virtiofsd.start(), complaints.virtiofsd)
        var qemu = Program(
            path: programs.qemu, arguments: QEMUPlan(plan: plan).arguments,
            descriptors: [
                0: null.raw, 1: complaints.qemu.descriptor, 2: complaints.qemu.descriptor,
                QEMUPlan.Inherited.control: control.second.raw, QEMUPlan.Inherited.console: console.second.raw,
                QEMUPlan.Inherited.vsock: vsock.second.raw, QEMUPlan.Inherited.share: share.connection.raw,
            ])
        qemu.noNewPrivileges = true
        machine.add("qemu", try qemu.start(), complaints.qemu)

        var vmm = Program(
            path: programs.vmm,
            arguments: [
                "vsock", "--vhost-user-fd", "3", "--directory-fd", "4", "--cid", "\(Self.guestCID)",
            ],
            descriptors: [
                0: null.raw, 1: complaints.vmm.descriptor, 2: complaints.vmm.descriptor, 3: vsock.first.raw,
                4: directory.descriptor.raw,
            ])
        vmm.noNewPrivileges = true
        machine.add("kvm-vmm", try vmm.start(), complaints.vmm)

        try machine.attach(control: control.first.duplicate(), console: console.first.duplicate())
    }

    private func virtiofsd(
        _ plan: VMPlan, _ directory: SandboxDirectory, _ share: borrowing VirtiofsListener, _ null: CInt,
        _ complaints: CInt
    ) -> Program {
        let root = directory.path + "/share"
        var program = Program(
            path: programs.virtiofsd,
            arguments: [
                // Requests are served where they arrive: a hand-over to another thread costs more than they do.
                "--fd=3", "--thread-pool-size=0", "-o", "source=\(root)", "-o", "sandbox=chroot", "-o", "cache=auto",
                "-o", "xattr",
                "-o", "announce_submounts", "-o", "log_level=err",
            ], descriptors: [0: null, 1: complaints, 2: complaints, 3: share.listener.raw])
        program.share = Program.Share(
            root: root,
            binds: plan.trees.map {
                Program.Bind(source: $0.source, target: $0.target, readOnly: $0.readOnly, recursive: $0.recursive)
            })
        return program
    }
}

/// A listening socket for virtiofsd and a connection to it for QEMU; its name is gone before either uses it.
struct VirtiofsListener: ~Copyable {
    let listener: FileDescriptor
    let connection: FileDescriptor

    init(_ directory: SandboxDirectory) throws(Errno) {
        let name = "virtiofs.sock"
        let listening = try Sockets.listen(at: name, in: directory.descriptor.descriptor)
        defer { unlinkat(directory.descriptor.raw, name, 0) }
        // virtiofsd expects to wait in accept.
        try listening.setNonBlocking(false)
        connection = try Sockets.connect(to: name, in: directory.descriptor.descriptor)
        listener = listening
    }
}
