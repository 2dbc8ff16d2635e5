/// QEMU's command line as typed values. Commas in values are doubled, as QEMU's option parser wants it.
public enum QEMUOption: Equatable, Sendable {
    case machine(MachineOptions)
    case accelerator(Accelerator)
    case cpu(model: String, off: [String], on: [String])
    case vcpus(Int)
    case memory(mebibytes: Int)
    /// Guest memory in a memfd that vhost-user back ends can map.
    case sharedMemory(id: String, mebibytes: Int)
    case name(String)
    case noDefaults
    case noReboot
    case noUserConfiguration
    case noGraphics
    /// virtio-mmio devices speak virtio 1, not the legacy version.
    case modernVirtio
    case kernel(String)
    case initrd(String)
    case kernelCommandLine([String])
    /// A chardev over a connected socket that QEMU inherits.
    case inheritedSocket(id: String, descriptor: CInt)
    case serial(chardev: String)
    case control(chardev: String)
    case device(Device)
    case sandbox

    public struct MachineOptions: Equatable, Sendable {
        public var memoryBackend: String
    }

    public enum Accelerator: Equatable, Sendable {
        case kvm
        case tcg(threads: TCGThreads)
    }

    public enum TCGThreads: String, Sendable { case single, multi }

    public enum Device: Equatable, Sendable {
        case vhostUserVsock(chardev: String)
        case vhostUserFS(chardev: String, tag: String, queueSize: Int)
        case vhostUserBlock(chardev: String, queueSize: Int)
        case balloon(freePageReporting: Bool)
    }

    public var arguments: [String] {
        switch self {
        case .machine(let options):
            // ACPI without PCI costs the guest its interrupts; the option ROM costs time.
            ["-machine", "microvm,x-option-roms=off,acpi=off,memory-backend=\(options.memoryBackend)"]
        case .accelerator(.kvm): ["-accel", "kvm"]
        case .accelerator(.tcg(let threads)):
            ["-accel", "tcg,thread=\(threads.rawValue),tb-size=\(QEMUDriver.translationMiB)"]
        case .cpu(let model, let off, let on):
            ["-cpu", ([model] + off.map { "\($0)=off" } + on.map { "\($0)=on" }).joined(separator: ",")]
        case .vcpus(let count): ["-smp", "\(count)"]
        case .memory(let mebibytes): ["-m", "\(mebibytes)M"]
        case .sharedMemory(let id, let mebibytes):
            ["-object", "memory-backend-memfd,id=\(id),size=\(mebibytes)M,share=on"]
        case .name(let name): ["-name", Self.escaped(name)]
        case .noDefaults: ["-nodefaults"]
        case .noReboot: ["-no-reboot"]
        case .noUserConfiguration: ["-no-user-config"]
        case .noGraphics: ["-display", "none"]
        case .modernVirtio: ["-global", "virtio-mmio.force-legacy=false"]
        case .kernel(let path): ["-kernel", path]
        case .initrd(let path): ["-initrd", path]
        case .kernelCommandLine(let parameters): ["-append", parameters.joined(separator: " ")]
        case .inheritedSocket(let id, let descriptor): ["-chardev", "socket,id=\(id),fd=\(descriptor)"]
        case .serial(let chardev): ["-serial", "chardev:\(chardev)"]
        case .control(let chardev): ["-mon", "chardev=\(chardev),mode=control"]
        case .device(let device): ["-device", device.argument]
        case .sandbox:
            ["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"]
        }
    }

    static func escaped(_ value: String) -> String {
        value.split(separator: ",", omittingEmptySubsequences: false).joined(separator: ",,")
    }
}

extension QEMUOption.Device {
    fileprivate var argument: String {
        switch self {
        case .vhostUserVsock(let chardev): "vhost-user-vsock-device,chardev=\(chardev)"
        case .vhostUserFS(let chardev, let tag, let queueSize):
            "vhost-user-fs-device,chardev=\(chardev),tag=\(QEMUOption.escaped(tag)),queue-size=\(queueSize)"
        case .vhostUserBlock(let chardev, let queueSize):
            "vhost-user-blk,chardev=\(chardev),num-queues=1,queue-size=\(queueSize)"
        case .balloon(let reporting):
            "virtio-balloon-device,free-page-reporting=\(reporting ? "on" : "off")"
        }
    }
}
