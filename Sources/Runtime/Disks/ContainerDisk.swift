import AgentProtocol
import Glibc
import JSON
import LinuxSys
import OCISpec
import VMDriver

/// An image on the host that a container has as a disk, found and allowed.
struct ContainerDisk: Equatable, Sendable {
    /// "root", or "disk-NAME".
    var name: String
    /// Absolute, without symlinks.
    var source: String
    var format: ImageFormat
    /// A path in the container; empty: it is the rootfs.
    var target: String
    /// The guest can't write to the image.
    var readOnly: Bool

    var isRoot: Bool { target.isEmpty }

    var machineDisk: VMPlan.Disk { VMPlan.Disk(source: source, readOnly: readOnly, name: name) }

    /// What a rootfs that can't be written gets, its missing mount points to begin with, is in the guest's memory.
    var guestDisk: GuestDisk {
        GuestDisk(name: name, type: format.rawValue, readOnly: readOnly, overlay: isRoot && readOnly)
    }

    /// All that the annotations ask for. Who may write a configuration may not choose among the host's files for that: each
    /// has to be allowed by the administrator (`guest.allowed_images`).
    static func all(of bundle: Bundle, _ configuration: Configuration) throws(RuntimeError) -> [ContainerDisk] {
        var disks: [ContainerDisk] = []
        for image in try DiskAnnotations(bundle.spec.annotations).images {
            let disk = try ContainerDisk(image, bundle, configuration)
            if let other = disks.first(where: { $0.source == disk.source && !($0.readOnly && disk.readOnly) }) {
                throw DiskAnnotations.wrong(image.key, "names the image of \(other.name) once more: \(disk.source)")
            }
            disks.append(disk)
        }
        return disks
    }

    private init(
        _ image: DiskAnnotations.Image, _ bundle: Bundle, _ configuration: Configuration
    ) throws(RuntimeError) {
        let named = image.path.hasPrefix("/") ? image.path : bundle.path + "/" + image.path
        do throws(Errno) { source = try File.realPath(named) } catch {
            // Whether there is such a file is nobody's business who may not use it.
            try Self.checkAllowed(named, image.key, configuration)
            throw DiskAnnotations.wrong(image.key, "names \(named): \(error)")
        }
        try Self.checkAllowed(source, image.key, configuration)
        guard let mode = File.mode(source), [mode_t(S_IFREG), mode_t(S_IFBLK)].contains(mode & mode_t(S_IFMT)) else {
            throw DiskAnnotations.wrong(image.key, "names \(source), which is neither a file nor a block device")
        }
        format = try Self.format(of: source, image)
        name = image.name
        target = image.target ?? ""
        // An image that nobody may write is not written, root or not.
        let isSealed = mode & 0o222 == 0
        let rootReadOnly = image.target == nil && bundle.spec.root?.readonly == true
        readOnly = image.readOnly || format.isReadOnly || isSealed || rootReadOnly
    }

    private static func format(
        of source: String, _ image: DiskAnnotations.Image
    ) throws(RuntimeError) -> ImageFormat {
        let start: [UInt8]
        do throws(Errno) { start = try File.readStart(source, count: ImageFormat.startBytes) } catch {
            throw DiskAnnotations.wrong(image.key, "names \(source): \(error)")
        }
        guard let found = ImageFormat.recognised(in: start) else {
            let all = ImageFormat.allCases.map(\.rawValue).joined(separator: ", ")
            throw DiskAnnotations.wrong(
                image.key, "names \(source), which has none of the file systems that the guest knows (\(all))")
        }
        if let wanted = image.format, wanted != found {
            throw DiskAnnotations.wrong(
                image.key, "names \(source), which has the file system \(found.rawValue), not \(wanted.rawValue)")
        }
        return found
    }

    private static func checkAllowed(
        _ path: String, _ key: String, _ configuration: Configuration
    ) throws(RuntimeError) {
        if configuration.allowedImages.contains(where: { fnmatch($0, path, FNM_PATHNAME) == 0 }) { return }
        throw DiskAnnotations.wrong(
            key,
            "names \(path), which is not allowed: add it, or a pattern, to guest.allowed_images in "
                + "\(Configuration.standardPath) (now \(JSONValue(configuration.allowedImages).text()))")
    }

    // MARK: On the way to the supervisor

    var json: JSONValue {
        [
            "name": .string(name), "source": .string(source), "format": .string(format.rawValue),
            "target": .string(target), "readOnly": .bool(readOnly),
        ]
    }

    init(decoding cursor: JSONCursor) throws(JSONFieldError) {
        let fields = try cursor.object()
        name = try fields["name"].string()
        source = try fields["source"].string()
        format = ImageFormat(rawValue: try fields["format"].string()) ?? .ext4
        target = try fields["target"].string()
        readOnly = try fields["readOnly"].bool()
    }
}
