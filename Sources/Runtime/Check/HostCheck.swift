import JSON
import KVM
import LinuxSys

/// What this machine offers for running containers in guests, and what it lacks.
public struct HostCheck: Equatable, Sendable {
    public let items: [CheckItem]

    public init(items: [CheckItem]) { self.items = items }

    /// Where to look.
    public struct Paths: Equatable, Sendable {
        /// The guest's kernel.
        public var kernel: String
        /// The initramfs with the agent.
        public var agent: String
        /// The first that can be executed is it; a name without a slash is searched for in PATH.
        public var qemu = ["qemu-system-x86_64"]
        /// nil where containers' files go to the guest by our own device.
        public var virtiofsd: String?
        /// The KVM probe's deadline. Fit or not, an idle machine answers in a tenth of it; a virtual machine under
        /// an emulator just booted may need five times as much.
        public var probeMilliseconds: UInt32 = 200
        public var devices = "/dev"
        public var proc = "/proc"
        public var cgroup = "/sys/fs/cgroup"

        public init(kernel: String, agent: String) {
            self.kernel = kernel
            self.agent = agent
        }
    }

    /// Looks at everything: some 40 ms, most of them QEMU's start; at most about a second, when programs hang.
    public static func run(_ paths: Paths) -> HostCheck {
        let kvm = paths.devices + "/kvm"
        let probe = KVMProbe(device: kvm, deadlineMilliseconds: paths.probeMilliseconds).run()
        var items = KVMCheck.items(probe, device: kvm)
        items.append(ProgramCheck.qemu(paths.qemu))
        items.append(file("guest kernel", paths.kernel, "the runtime's kernel"))
        items.append(file("guest agent", paths.agent, "the initramfs with the agent"))
        if let virtiofsd = paths.virtiofsd { items.append(ProgramCheck.virtiofsd(virtiofsd)) }
        items += DeviceCheck.items(paths.devices)
        items.append(KernelCheck.cgroups(paths.cgroup))
        items.append(KernelCheck.userNamespaces(paths.proc, isRoot: KernelCheck.isRoot))
        items.append(KVMCheck.clock(HostTSC.read()))
        return HostCheck(items: items)
    }

    /// A container can run here, by hardware or by emulation.
    public var canRun: Bool { items.allSatisfy(\.allowsRunning) }

    /// What a command answers: 0 if a container can run.
    public var exitCode: Int32 { canRun ? 0 : 1 }

    public func json() -> JSONValue {
        ["canRun": .bool(canRun), "items": .array(items.map { $0.json() })]
    }

    private static func file(_ name: String, _ path: String, _ what: String) -> CheckItem {
        let advice = "install \(what), or say where it is"
        do throws(Errno) {
            let file = try FileDescriptor.open(path, 0)
            guard try !file.read(upTo: 1).isEmpty else {
                return CheckItem(name, .unfit, "\(path) is empty", advice: advice, required: true)
            }
            return CheckItem(name, .ok, path, required: true)
        } catch .noSuchFile {
            return CheckItem(name, .missing, path, advice: advice, required: true)
        } catch {
            return CheckItem(name, .unfit, "\(path): \(error)", advice: advice, required: true)
        }
    }
}
