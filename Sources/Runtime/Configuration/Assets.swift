import LinuxSys

/// The files that a guest is made of, found: by flag, by the configuration, or relative to the binary.
public struct Assets: Equatable, Sendable {
    public var kernel: String
    public var initramfs: String
    public var vmm: String
    public var qemu: String
    /// Only where the configuration names one.
    public var virtiofsd: String?

    /// Where each would be, whether it is there or not. `<prefix>/bin/kvm-runtime` has its kernel in
    /// `<prefix>/share/kvm-runtime`.
    public init(_ configuration: Configuration, kernel: String? = nil, initramfs: String? = nil) {
        let binary = (try? File.readLink("/proc/self/exe")) ?? "/usr/local/bin/kvm-runtime"
        let directory = Self.parent(binary)
        let share = Self.parent(directory) + "/share/kvm-runtime"
        self.kernel = kernel.map(Self.absolute) ?? configuration.kernel ?? share + "/vmlinux"
        self.initramfs = initramfs.map(Self.absolute) ?? configuration.initramfs ?? share + "/initramfs.cpio"
        vmm = configuration.vmm ?? directory + "/kvm-vmm"
        qemu = Self.program(configuration.qemu)
        virtiofsd = configuration.virtiofsd
    }

    /// - Throws: names the first that is missing and says what to do.
    public func requireAll() throws(RuntimeError) {
        try require(qemu, "QEMU", "install it (Debian: apt-get install qemu-system-x86) or set paths.qemu")
        if let virtiofsd {
            try require(virtiofsd, "virtiofsd", "install it, or leave out paths.virtiofsd: nothing else needs it")
        }
        try require(
            vmm, "kvm-vmm", "it belongs beside kvm-runtime: run `make build` or `make install`, or set paths.vmm")
        try require(kernel, "the guest kernel", "run `make build`, or name one with --kernel or paths.kernel")
        try require(initramfs, "the guest's agent", "run `make build`, or name one with --initramfs or paths.initramfs")
    }

    private func require(_ path: String, _ what: String, _ advice: String) throws(RuntimeError) {
        if !File.exists(path) { throw RuntimeError("\(what) was not found at \(path): \(advice)") }
    }

    /// The supervisor has another working directory than the command.
    private static func absolute(_ path: String) -> String {
        path.hasPrefix("/") ? path : ((try? File.currentDirectory()) ?? "") + "/" + path
    }

    private static func parent(_ path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// A name is looked for where Debian has programs, whatever the caller's PATH is.
    private static func program(_ name: String) -> String {
        if name.contains("/") { return name }
        let found = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin"].map { $0 + "/" + name }
            .first(where: File.isExecutable)
        return found ?? "/usr/bin/" + name
    }
}
