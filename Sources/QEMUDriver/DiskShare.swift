import FileCalls
import Glibc
import LinuxSys
import Spawn
import VMDriver

/// A disk image, opened and locked for one machine, and the connection between kvm-vmm and QEMU over which it is served.
final class DiskShare {
    /// The number of the first disk's descriptors in kvm-vmm; each has two.
    private static let firstInherited: CInt = 7

    private let disk: VMPlan.Disk
    private let image: FileDescriptor
    private let device: FileDescriptor
    private let connection: FileDescriptor

    /// Opens the image. Its lock (F_OFD_SETLK, as QEMU's own) belongs to the open file: it is given up when kvm-vmm, which
    /// inherits that, has ended. Many guests may read an image, and one that writes has it alone.
    init(_ disk: VMPlan.Disk) throws(VMError) {
        self.disk = disk
        do throws(Errno) {
            // A block device that the host has mounted is not to be written by another.
            let isDevice = try FileCalls.status(FileDescriptor.reference(disk.source)).kind == .blockDevice
            let exclusive = isDevice && !disk.readOnly ? O_EXCL : 0
            image = try FileDescriptor.open(disk.source, (disk.readOnly ? O_RDONLY : O_RDWR) | O_NONBLOCK | exclusive)
            let sockets = try Sockets.pair()
            device = try sockets.first.duplicate()
            connection = try sockets.second.duplicate()
        } catch {
            throw VMError("can't open the image \(disk.source): \(error)")
        }
        let kind = try? FileCalls.status(image).kind
        guard kind == .regular || kind == .blockDevice else {
            throw VMError("the image \(disk.source) is neither a file nor a block device")
        }
        guard let end = try? FileCalls.seek(image, 0, SEEK_END), end >= 512 else {
            throw VMError("the image \(disk.source) is empty: a disk has at least one sector of 512 bytes")
        }
        try lock()
    }

    private func lock() throws(VMError) {
        do throws(Errno) {
            try FileCalls.setLock(image, RangeLock(start: 0, length: 0, kind: disk.readOnly ? .read : .write))
        } catch .wouldBlock {
            throw VMError(
                disk.readOnly
                    ? "the image \(disk.source) is in use by another guest, or program, that writes to it"
                    : "the image \(disk.source) is in use by another guest or program: who writes to an image has it alone"
            )
        } catch {
            throw VMError("can't lock the image \(disk.source): \(error)")
        }
    }

    /// Gives both programs their ends.
    /// - Parameter index: of the disk in the plan.
    func add(to vmm: inout Program, _ qemu: inout Program, index: Int) throws(Errno) {
        let first = Self.firstInherited + 2 * CInt(index)
        vmm.arguments += [
            "blk", "--vhost-user-fd", "\(first)", "--disk-fd", "\(first + 1)", "--identity", disk.name,
        ]
        if disk.readOnly { vmm.arguments.append("--read-only") }
        vmm.descriptors[first] = device.raw
        vmm.descriptors[first + 1] = image.raw
        qemu.descriptors[QEMUPlan.Inherited.disks + CInt(index)] = connection.raw
    }
}
