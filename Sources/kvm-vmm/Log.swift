import LinuxSys

/// Lines for whoever runs the guest. Rare: nothing that a guest does again and again writes one.
final class Log: Sendable {
    private let file: FileDescriptor

    init(_ file: consuming FileDescriptor) { self.file = file }

    /// What can't be written is lost: there is nobody to tell.
    func line(_ text: String) { _ = try? file.write(Array("kvm-vmm: \(text)\n".utf8)) }
}
