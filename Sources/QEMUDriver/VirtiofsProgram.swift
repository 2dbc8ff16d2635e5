import Glibc
import LinuxSys
import Spawn
import VMDriver

/// Debian's virtiofsd in the place of our own file system device, so that a difference between the two is known to be
/// ours. Sees the trees as bind mounts in a mount namespace of its own.
struct VirtiofsProgram {
    let path: String
    let plan: VMPlan
    let directory: SandboxDirectory

    func program(_ share: borrowing VirtiofsListener, _ null: CInt, _ complaints: CInt) -> Program {
        let root = directory.path + "/share"
        var program = Program(
            path: path,
            arguments: [
                // Requests are served where they arrive: a hand-over to another thread costs more than they do.
                "--fd=3", "--thread-pool-size=0", "-o", "source=\(root)", "-o", "sandbox=chroot", "-o", "cache=auto",
                "-o", "xattr",
                "-o", "announce_submounts", "-o", "log_level=err",
            ], descriptors: [0: null, 1: complaints, 2: complaints, 3: share.listener.raw])
        program.share = Program.Share(
            root: root,
            binds: plan.trees.map {
                Program.Bind(source: $0.source, target: $0.name, readOnly: $0.readOnly, recursive: $0.recursive)
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
