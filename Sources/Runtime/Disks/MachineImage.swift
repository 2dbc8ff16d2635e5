import AgentProtocol
import Glibc
import JSON
import LinuxSys
import VMDriver

/// The image of the guest's own root file system (config-vm.md, "Image Object"): what runs in the guest outside of containers
/// sees its tree. Nobody writes to it.
struct MachineImage: Equatable, Sendable {
    /// The disk's serial number. No container's disk is called so.
    static let diskName = "guest"

    /// Absolute, without symlinks.
    var source: String
    var format: ImageFormat
    /// What names it in config.json, for those who read an error.
    var field: String

    /// The image at a path that may be used.
    /// - Throws: names `field`.
    init(_ source: String, _ field: String) throws(RuntimeError) {
        self.source = source
        self.field = field
        guard let mode = File.mode(source), [mode_t(S_IFREG), mode_t(S_IFBLK)].contains(mode & mode_t(S_IFMT)) else {
            throw RuntimeError("\(field): \(source) is neither a file nor a block device")
        }
        let start: [UInt8]
        do throws(Errno) { start = try File.readStart(source, count: ImageFormat.startBytes) } catch {
            throw RuntimeError("\(field): \(source): \(error)")
        }
        guard let found = ImageFormat.recognised(in: start) else {
            let all = ImageFormat.allCases.map(\.rawValue).joined(separator: ", ")
            throw RuntimeError("\(field): \(source) has none of the file systems that the guest knows (\(all))")
        }
        format = found
    }

    var machineDisk: VMPlan.Disk { VMPlan.Disk(source: source, readOnly: true, name: Self.diskName) }

    var guestDisk: GuestDisk {
        GuestDisk(name: Self.diskName, type: format.rawValue, readOnly: true, overlay: true)
    }

    /// Who writes to an image has it alone.
    func checkAlone(among disks: [ContainerDisk]) throws(RuntimeError) {
        guard let other = disks.first(where: { $0.source == source && !$0.readOnly }) else { return }
        throw RuntimeError("\(field): \(source) is the image of \(other.name) too, which writes to it")
    }

    // MARK: On the way to the supervisor

    var json: JSONValue {
        ["source": .string(source), "format": .string(format.rawValue), "field": .string(field)]
    }

    init(decoding cursor: JSONCursor) throws(JSONFieldError) {
        let fields = try cursor.object()
        source = try fields["source"].string()
        format = ImageFormat(rawValue: try fields["format"].string()) ?? .ext4
        field = try fields["field"].string()
    }
}
