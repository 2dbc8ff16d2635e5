import Glibc
import LinuxSys
import OCISpec

/// What configurations may choose of their virtual machine (table `vm` of the configuration file). The author of an image or
/// of a config.json is not the administrator of the host: without a word of the latter he chooses nothing.
public struct AllowedChoices: Equatable, Sendable {
    /// Patterns (fnmatch(3); `*` does not match a slash) of paths.
    public var kernels: [String] = []
    public var initrds: [String] = []
    /// Of the guest's own root file system.
    public var images: [String] = []
    public var hypervisors: [String] = []
    /// Patterns of words.
    public var kernelParameters: [String] = []
    public var hypervisorParameters: [String] = []
    /// vCPUs and memory.
    public var hardware = false

    public init() {}

    static func matches(_ text: String, _ patterns: [String], isPath: Bool = false) -> Bool {
        patterns.contains { fnmatch($0, text, isPath ? FNM_PATHNAME : 0) == 0 }
    }
}

/// What a configuration chooses of its virtual machine, by its `vm` (config-vm.md) and its annotations, and may choose.
struct VMChoice: Equatable {
    /// The annotations that are looked at begin so.
    static let prefix = "io.kvm-runtime."

    var kernel: String?
    var initrd: String?
    var image: MachineImage?
    var hypervisor: String?
    var kernelParameters: [String] = []
    var hypervisorParameters: [String] = []
    var vcpus: Int?
    var memoryMiB: Int?

    /// Nothing is chosen.
    init() {}

    /// - Throws: names what is not allowed, or makes no sense.
    init(_ spec: Spec, _ allowed: AllowedChoices) throws(RuntimeError) {
        if let vm = spec.vm { try take(vm, allowed) }
        for (name, value) in spec.annotations.sorted(by: { $0.key < $1.key }) where name.hasPrefix(Self.prefix) {
            // Of disks, which are somebody else's (`DiskAnnotations`).
            if name.hasPrefix(DiskAnnotations.rootPrefix) || name.hasPrefix(DiskAnnotations.diskPrefix) { continue }
            try take(String(name.dropFirst(Self.prefix.count)), value, "annotations[\"\(name)\"]", allowed)
        }
    }

    private mutating func take(_ vm: VM, _ allowed: AllowedChoices) throws(RuntimeError) {
        kernel = try Self.path(vm.kernel.path, "vm.kernel.path", allowed.kernels, "vm.kernels")
        if !vm.kernel.initrd.isEmpty {
            initrd = try Self.path(vm.kernel.initrd, "vm.kernel.initrd", allowed.initrds, "vm.initrds")
        }
        kernelParameters = try Self.words(
            vm.kernel.parameters, "vm.kernel.parameters", allowed.kernelParameters, "vm.kernel_parameters")
        if let chosen = vm.image { try setImage(chosen.path, "vm.image.path", allowed) }
        if let chosen = vm.hypervisor {
            hypervisor = try Self.path(chosen.path, "vm.hypervisor.path", allowed.hypervisors, "vm.hypervisors")
            hypervisorParameters = try Self.words(
                chosen.parameters, "vm.hypervisor.parameters", allowed.hypervisorParameters, "vm.hypervisor_parameters")
        }
        guard let hardware = vm.hwConfig else { return }
        if let count = hardware.vcpus { try setVCPUs(Int(count), "vm.hwConfig.vcpus", allowed) }
        if let bytes = hardware.memory {
            try setMemory(Int(clamping: (bytes >> 20) + (bytes & 0xfffff == 0 ? 0 : 1)), "vm.hwConfig.memory", allowed)
        }
    }

    private mutating func take(
        _ name: String, _ value: String, _ field: String, _ allowed: AllowedChoices
    ) throws(RuntimeError) {
        switch name {
        case "vcpus": try setVCPUs(try Self.number(value, field), field, allowed)
        case "memory_mib": try setMemory(try Self.number(value, field), field, allowed)
        case "kernel": kernel = try Self.path(value, field, allowed.kernels, "vm.kernels")
        case "image": try setImage(value, field, allowed)
        case "hypervisor": hypervisor = try Self.path(value, field, allowed.hypervisors, "vm.hypervisors")
        case "kernel_parameters":
            kernelParameters += try Self.words(
                value.split(separator: " ").map(String.init), field, allowed.kernelParameters, "vm.kernel_parameters")
        default:
            throw RuntimeError(
                "\(field) is unknown: there are vcpus, memory_mib, kernel, image, hypervisor, kernel_parameters")
        }
    }

    private mutating func setImage(_ path: String, _ field: String, _ allowed: AllowedChoices) throws(RuntimeError) {
        image = try MachineImage(try Self.path(path, field, allowed.images, "vm.images"), field)
    }

    private mutating func setVCPUs(_ count: Int, _ field: String, _ allowed: AllowedChoices) throws(RuntimeError) {
        try Self.checkHardware(field, allowed)
        guard (1...64).contains(count) else { throw RuntimeError("\(field): \(count) is out of range (1 to 64)") }
        vcpus = count
    }

    private mutating func setMemory(_ mebibytes: Int, _ field: String, _ allowed: AllowedChoices) throws(RuntimeError) {
        try Self.checkHardware(field, allowed)
        guard mebibytes >= GuestSize.leastMemoryMiB else {
            throw RuntimeError("\(field): a guest needs \(GuestSize.leastMemoryMiB) MiB")
        }
        memoryMiB = mebibytes
    }

    private static func checkHardware(_ field: String, _ allowed: AllowedChoices) throws(RuntimeError) {
        guard allowed.hardware else { throw refusal(field, "vm.hardware") }
    }

    private static func number(_ text: String, _ field: String) throws(RuntimeError) -> Int {
        guard let number = Int(text) else { throw RuntimeError("\(field): \(text.debugDescription) is no number") }
        return number
    }

    /// The path that is there in the end, so that no symlink leads past the patterns.
    private static func path(
        _ text: String, _ field: String, _ patterns: [String], _ key: String
    ) throws(RuntimeError) -> String {
        guard text.hasPrefix("/") else { throw RuntimeError("\(field): must be an absolute path") }
        // What may not be chosen is not looked at either: it would tell what there is on the host.
        guard AllowedChoices.matches(text, patterns, isPath: true) else { throw refusal(field, key) }
        let path: String
        do throws(Errno) { path = try File.realPath(text) } catch { throw RuntimeError("\(field): \(text): \(error)") }
        guard AllowedChoices.matches(path, patterns, isPath: true) else { throw refusal(field, key) }
        return path
    }

    private static func words(
        _ words: [String], _ field: String, _ patterns: [String], _ key: String
    ) throws(RuntimeError) -> [String] {
        for word in words {
            guard !word.isEmpty, word.utf8.allSatisfy({ $0 > 32 && $0 < 127 }) else {
                throw RuntimeError("\(field): \(word.debugDescription) is no single word")
            }
            guard AllowedChoices.matches(word, patterns) else {
                throw RuntimeError(
                    "\(field): \(word) is not allowed; an administrator can allow it with \(key) in "
                        + "the configuration file")
            }
        }
        return words
    }

    private static func refusal(_ field: String, _ key: String) -> RuntimeError {
        RuntimeError("\(field) is not allowed; an administrator can allow it with \(key) in the configuration file")
    }
}
