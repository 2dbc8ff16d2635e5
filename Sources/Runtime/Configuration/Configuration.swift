import LinuxSys
import VMDriver

/// What the administrator decides, from `/etc/kvm-runtime/config.toml` (docs/configuration.md has every key).
public struct Configuration: Equatable, Sendable {
    public static let standardPath = "/etc/kvm-runtime/config.toml"

    public enum Accelerator: String, CaseIterable, Sendable { case auto, kvm, tcg }

    // [paths]: nil is "look beside the binary".
    public var kernel: String?
    public var initramfs: String?
    public var vmm: String?
    public var qemu = "qemu-system-x86_64"
    public var virtiofsd: String?

    // [guest]
    public var accelerator = Accelerator.auto
    /// vCPUs of a guest whose container has neither a quota nor a cpuset.
    public var defaultVCPUs = 1
    public var maximumVCPUs = 64
    /// MiB of a guest whose container has no memory limit. Allocated when used.
    public var defaultMemoryMiB = 512
    /// MiB that a guest gets over its container's limit, instead of the measured overhead.
    public var overheadMiB: Int?
    public var kernelParameters: [String] = []
    /// Patterns (fnmatch(3)) of the images on the host that annotations may name.
    public var allowedImages: [String] = []
    /// Milliseconds in which KVM must have run the probe's guest code.
    public var probeTimeout = 200
    /// Seconds from the start of the machine until its agent must have called.
    public var bootTimeout = 30
    /// Microseconds for which a device looks for the guest's next buffer before it sleeps.
    public var pollMicroseconds = 600
    static let pollRange = 0...10000

    // [files]
    public var rootfsCache = VMPlan.FileCache.auto
    public var volumeCache = VMPlan.FileCache.auto
    /// Locks on files are taken on the host.
    public var sharesFileLocks = false

    // [vm]
    public var allowed = AllowedChoices()

    public init() {}

    /// Reads the file. An absent standard file is the defaults; an absent file that was asked for is an error.
    public static func load(from path: String?) throws(RuntimeError) -> Configuration {
        let file = path ?? standardPath
        let bytes: [UInt8]
        do throws(Errno) { bytes = try File.read(file, limit: 1 << 20) } catch {
            if error == .noSuchFile, path == nil { return Configuration() }
            throw RuntimeError("can't read the configuration \(file): \(error)")
        }
        return try Configuration(parsing: String(decoding: bytes, as: UTF8.self), file: file)
    }

    init(parsing text: String, file: String) throws(RuntimeError) {
        let document: TOMLDocument
        do throws(TOMLError) { document = try TOMLDocument(parsing: text) } catch {
            throw RuntimeError("configuration \(file), \(error)")
        }
        for (key, entry) in document.entries.sorted(by: { $0.value.line < $1.value.line }) {
            do throws(TOMLError) { try set(key, entry) } catch {
                throw RuntimeError("configuration \(file), \(error)")
            }
        }
    }

    private mutating func set(_ key: String, _ entry: TOMLDocument.Entry) throws(TOMLError) {
        switch key {
        case "paths.kernel": kernel = try entry.path(key)
        case "paths.initramfs": initramfs = try entry.path(key)
        case "paths.vmm": vmm = try entry.path(key)
        case "paths.virtiofsd": virtiofsd = try entry.path(key)
        case "paths.qemu": qemu = try entry.string(key)
        case "guest.accelerator":
            guard let known = Accelerator(rawValue: try entry.string(key)) else {
                throw TOMLError(line: entry.line, message: "\(key) must be \"auto\", \"kvm\" or \"tcg\"")
            }
            accelerator = known
        case "guest.default_vcpus": defaultVCPUs = try entry.integer(key, 1...64)
        case "guest.maximum_vcpus": maximumVCPUs = try entry.integer(key, 1...64)
        case "guest.default_memory_mib": defaultMemoryMiB = try entry.integer(key, 64...(1 << 24))
        case "guest.overhead_mib": overheadMiB = try entry.integer(key, 16...65536)
        case "guest.boot_timeout_seconds": bootTimeout = try entry.integer(key, 1...3600)
        case "guest.kvm_probe_milliseconds": probeTimeout = try entry.integer(key, 20...60000)
        case "guest.device_poll_microseconds": pollMicroseconds = try entry.integer(key, Self.pollRange)
        case "guest.kernel_parameters": kernelParameters = try entry.words(key)
        case "guest.allowed_images": allowedImages = try entry.patterns(key)
        case "files.rootfs_cache": rootfsCache = try Self.cache(key, entry)
        case "files.volume_cache": volumeCache = try Self.cache(key, entry)
        case "files.locks":
            let locks = try entry.string(key)
            guard ["guest", "host"].contains(locks) else {
                throw TOMLError(line: entry.line, message: "\(key) must be \"guest\" or \"host\"")
            }
            sharesFileLocks = locks == "host"
        case "vm.kernels": allowed.kernels = try entry.list(key)
        case "vm.initrds": allowed.initrds = try entry.list(key)
        case "vm.images": allowed.images = try entry.list(key)
        case "vm.hypervisors": allowed.hypervisors = try entry.list(key)
        case "vm.kernel_parameters": allowed.kernelParameters = try entry.list(key)
        case "vm.hypervisor_parameters": allowed.hypervisorParameters = try entry.list(key)
        case "vm.hardware": allowed.hardware = try entry.flag(key)
        default: throw TOMLError(line: entry.line, message: "unknown key \(key)")
        }
    }

    private static func cache(_ key: String, _ entry: TOMLDocument.Entry) throws(TOMLError) -> VMPlan.FileCache {
        guard let known = VMPlan.FileCache(rawValue: try entry.string(key)) else {
            throw TOMLError(line: entry.line, message: "\(key) must be \"auto\", \"always\" or \"never\"")
        }
        return known
    }
}

extension TOMLDocument.Entry {
    fileprivate func string(_ key: String) throws(TOMLError) -> String {
        guard case .string(let text) = value, !text.isEmpty, !text.utf8.contains(0) else {
            throw TOMLError(line: line, message: "\(key) must be a string in quotes")
        }
        return text
    }

    fileprivate func path(_ key: String) throws(TOMLError) -> String {
        let text = try string(key)
        guard text.hasPrefix("/") else { throw TOMLError(line: line, message: "\(key) must be an absolute path") }
        return text
    }

    fileprivate func integer(_ key: String, _ range: ClosedRange<Int>) throws(TOMLError) -> Int {
        guard case .integer(let number) = value, range.contains(number) else {
            throw TOMLError(
                line: line, message: "\(key) must be a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    fileprivate func list(_ key: String) throws(TOMLError) -> [String] {
        guard case .strings(let list) = value, list.allSatisfy({ !$0.isEmpty && !$0.utf8.contains(0) }) else {
            throw TOMLError(line: line, message: "\(key) must be a list of strings")
        }
        return list
    }

    /// Of absolute paths.
    fileprivate func patterns(_ key: String) throws(TOMLError) -> [String] {
        guard case .strings(let list) = value, list.allSatisfy({ $0.hasPrefix("/") && !$0.utf8.contains(0) }) else {
            throw TOMLError(line: line, message: "\(key) must be a list of absolute paths or patterns of them")
        }
        return list
    }

    fileprivate func flag(_ key: String) throws(TOMLError) -> Bool {
        guard case .bool(let flag) = value else {
            throw TOMLError(line: line, message: "\(key) must be true or false")
        }
        return flag
    }

    /// Kernel parameters: one word each, so that none smuggles in a second.
    fileprivate func words(_ key: String) throws(TOMLError) -> [String] {
        guard case .strings(let list) = value,
            list.allSatisfy({ !$0.isEmpty && $0.utf8.allSatisfy { $0 > 32 && $0 < 127 } })
        else {
            throw TOMLError(line: line, message: "\(key) must be a list of strings without blanks")
        }
        return list
    }
}
