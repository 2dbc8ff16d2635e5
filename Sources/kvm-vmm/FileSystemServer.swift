import FileCalls
import LinuxSys
import VMMWire
import VhostUser
import Virtio
import VirtioFS

/// The file system device's thread, and one for the messages that add and remove trees.
final class FileSystemServer: DeviceServer, @unchecked Sendable {
    /// Descriptors that are asked for; a hard limit may give fewer.
    static let mostDescriptors: UInt64 = 65536
    /// Left for everything that is not the device's.
    private static let spareDescriptors: UInt64 = 1200

    private let options: Arguments.FileSystem
    private let polling: BusyPolling
    private let limits: FileSystemLimits
    private let messages: SharedDescriptor
    private let socket: SharedDescriptor

    init(_ options: Arguments.FileSystem, _ polling: BusyPolling) throws(Main.Failure) {
        self.options = options
        self.polling = polling
        messages = SharedDescriptor(FileDescriptor(owning: options.trees))
        socket = SharedDescriptor(FileDescriptor(owning: options.vhostUser))
        let descriptors = try Main.attempt("descriptor limit") { () throws(Errno) in
            try ProcessControl.descriptorLimit()
        }
        limits = FileSystemLimits(
            descriptors: Int(max(descriptors, Self.spareDescriptors + 64) - Self.spareDescriptors),
            guestMemoryMiB: options.guestMemoryMiB)
        try Main.attempt("sockets") { () throws(Errno) in
            try socket.descriptor.setNonBlocking(false)
            try messages.descriptor.setNonBlocking(false)
        }
    }

    /// Serves until QEMU closes the socket.
    func run(_ log: Log) throws(Main.Failure) {
        var backend = try Main.attempt("file system device \(options.tag)") { () throws(Errno) in
            try Backend(
                FileSystemDevice(
                    tag: options.tag, limits: limits, sharesLocks: options.sharesLocks,
                    gathersWrites: options.gathersWrites),
                over: socket.descriptor.duplicate(), polling: polling
            ) { log.line($0) }
        }
        let trees = backend.device.trees
        try firstTrees(trees)
        try Main.attempt("thread") { () throws(Errno) in
            try Thread.detach { [self] in
                while let message = try? receive() { serve(message, trees) }
            }
        }
        do throws(VhostUserError) { while try backend.turn() {} } catch { throw Main.Failure(text: error.description) }
    }

    /// The trees that the guest shall find when it comes. One that can't be shared is the end, so none is answered.
    private func firstTrees(_ trees: SharedTrees) throws(Main.Failure) {
        for number in 0..<options.firstTrees {
            let message = try Main.attempt("tree \(number)") { () throws(Errno) in
                guard let message = try receive() else { throw .connectionReset }
                return message
            }
            if let error = tryOut(message, trees) { throw Main.Failure(text: "tree \(number): \(error)") }
        }
    }

    private struct Message {
        var bytes: [UInt8]
        var descriptors: [SharedDescriptor]
    }

    /// Waits for a message; nil is the end.
    private func receive() throws(Errno) -> Message? {
        let (bytes, descriptors) = try Sockets.receiveMessage(
            upTo: TreeMessage.mostBytes, descriptors: TreeMessage.mostDescriptors, from: messages.descriptor)
        return bytes.isEmpty ? nil : Message(bytes: bytes, descriptors: descriptors)
    }

    private func serve(_ message: Message, _ trees: SharedTrees) {
        switch TreeMessage(message.bytes) {
        case .watch(let tree, let inodes):
            guard let name = FileName(tree) else { return }
            // A tree that has gone, or a host without inotify: nobody is told of changes, and that is all.
            try? trees.watch(inodes, in: name) { [self] in say(.changed($0)) }
        case .changeHandled: trees.changeHandled()
        case .add, .remove, nil: say(.answer(tryOut(message, trees)?.rawValue ?? 0))
        }
    }

    /// Who does not listen any more needs no word.
    private func say(_ word: DeviceWord) {
        _ = try? Sockets.send(word.bytes, descriptors: [], over: messages.descriptor)
    }

    private func tryOut(_ message: Message, _ trees: SharedTrees) -> Errno? {
        do throws(Errno) {
            try carryOut(message.bytes, message.descriptors, trees)
            return nil
        } catch {
            return error
        }
    }

    private func carryOut(_ bytes: [UInt8], _ descriptors: [SharedDescriptor], _ trees: SharedTrees) throws(Errno) {
        switch TreeMessage(bytes) {
        case .add(let tree):
            guard let name = FileName(tree.name), let root = descriptors.first else { throw .invalidArgument }
            var place: (SharedDescriptor, FileName)?
            if let inDirectory = tree.nameInDirectory {
                guard let inDirectory = FileName(inDirectory), descriptors.count == 2 else { throw .invalidArgument }
                place = (descriptors[1], inDirectory)
            }
            try trees.add(
                SharedTree(
                    name: name, root: root, place: place, readOnly: tree.readOnly, cache: CachePolicy(tree.cache)))
        case .remove(let text):
            guard let name = FileName(text) else { throw .invalidArgument }
            try trees.remove(name)
        case .watch, .changeHandled, nil: throw .invalidArgument
        }
    }
}

extension CachePolicy {
    fileprivate init(_ cache: SharedTreeDescription.Cache) {
        self =
            switch cache {
            case .auto: .auto
            case .always: .always
            case .never: .never
            }
    }
}
