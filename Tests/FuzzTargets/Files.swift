import CLinux
import LinuxSys

/// Descriptors to send along: those that are asked for, and others.
struct Files {
    let memory: SharedDescriptor
    let kicks: [SharedDescriptor]
    private let others: [SharedDescriptor]

    init(memoryBytes: Int) throws {
        memory = SharedDescriptor(FileDescriptor(owning: clinux_memfd_create("fuzz", 1)))
        _ = ftruncate(memory.raw, memoryBytes)
        kicks = try (0..<3).map { _ in SharedDescriptor(try EventDescriptor().descriptor.duplicate()) }
        let pipe = try Pipes.make()
        let pair = try Sockets.pair()
        others = [
            SharedDescriptor(try .open("/dev/null", O_RDWR)), SharedDescriptor(try pipe.reader.duplicate()),
            SharedDescriptor(try pipe.writer.duplicate()), SharedDescriptor(try pair.first.duplicate()),
            SharedDescriptor(FileDescriptor(owning: clinux_memfd_create("empty", 1))),
            SharedDescriptor(try .directory("/")),
        ]
    }

    func any(_ input: inout Input) -> SharedDescriptor {
        let choice = input.below(others.count + 2)
        return choice < others.count ? others[choice] : choice == others.count ? memory : kicks[0]
    }
}
