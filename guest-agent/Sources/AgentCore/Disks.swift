import AgentProtocol
import CLinux
import Jail
import LinuxSys

/// The machine's disks: found by their serial numbers, and mounted for as long as their container is there.
///
/// It is the agent that mounts them and not the container's child: the child is in the container's cgroup already, whose
/// device filter need not allow the disk.
enum Disks {
    static var directory: String { DiskPlace.directory }

    /// Mounts a disk at its name in `directory`.
    static func mount(_ disk: GuestDisk) throws(Failure) {
        let place = directory + "/" + disk.name
        do throws(Errno) {
            _ = try once { mkdir(place, 0o700) }
            do throws(Errno) { try attach(disk, place) } catch {
                unmount(disk.name)
                throw error
            }
        } catch {
            throw Failure(
                kind: .container, message: "mounting the image of \(disk.name) (\(disk.type)): \(error.words)")
        }
    }

    /// Mounts a disk at a place, and in an overlay if it has one.
    static func attach(_ disk: GuestDisk, _ place: String) throws(Errno) {
        let device = try find(disk.name)
        let flags = disk.readOnly ? UInt(MS_RDONLY) : 0
        guard disk.overlay else {
            _ = try once { CLinux.mount(device, place, disk.type, flags, nil) }
            return World.readAhead(of: place)
        }
        let (lower, upper, work) = (place + "/lower", place + "/upper", place + "/work")
        _ = try once { CLinux.mount("tmpfs", place, "tmpfs", 0, "mode=0700") }
        for path in [lower, upper, work] { _ = try once { mkdir(path, 0o700) } }
        _ = try once { CLinux.mount(device, lower, disk.type, flags, nil) }
        World.readAhead(of: lower)
        // The root of the whole is that of the upper one.
        var status = stat()
        _ = try once { stat(lower, &status) }
        _ = try once { chown(upper, status.st_uid, status.st_gid) }
        _ = try once { chmod(upper, status.st_mode & 0o7777) }
        // On top of what it is made of.
        _ = try once {
            CLinux.mount("overlay", place, "overlay", 0, "lowerdir=\(lower),upperdir=\(upper),workdir=\(work)")
        }
    }

    private static func find(_ name: String) throws(Errno) -> String {
        for device in try File.list("/sys/block") where device.hasPrefix("vd") {
            let serial = (try? File.read("/sys/block/\(device)/serial", limit: 64)) ?? []
            if String(decoding: serial.prefix { $0 > 32 }, as: UTF8.self) == name { return "/dev/" + device }
        }
        throw Errno(rawValue: ENODEV)
    }

    /// Brings what is on it to its place: an image whose container has ended needs no recovery.
    static func unmount(_ name: String) {
        let place = directory + "/" + name
        detach(place)
        // What an overlay was made of.
        if umount2(place + "/lower", 0) == 0 || File.exists(place + "/upper") { detach(place) }
        rmdir(place)
    }

    /// When nobody is left.
    static func unmountAll() { for name in (try? File.list(directory)) ?? [] { unmount(name) } }

    private static func detach(_ place: String) {
        if umount2(place, 0) == 0 { return }
        _ = umount2(place, CInt(MNT_DETACH))
    }
}
