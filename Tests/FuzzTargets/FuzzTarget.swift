import FileCalls
import Glibc
import LinuxSys
import VirtioVsock

/// What can be fuzzed: a function of bytes that returns what went wrong, if anything did. It leaves nothing behind.
public struct FuzzTarget: Sendable {
    public let name: String
    public let run: @Sendable (_ input: [UInt8]) -> String?

    public static let all: [FuzzTarget] = [
        FuzzTarget(name: "vsock", run: vsock),
        FuzzTarget(name: "file-system", run: fileSystem),
        FuzzTarget(name: "block", run: block),
        FuzzTarget(name: "vhost-user", run: vhostUser),
        FuzzTarget(name: "frames", run: frames),
        FuzzTarget(name: "spec", run: spec),
    ]

    /// Makes the process fit for all of them, as kvm-vmm is.
    public static func prepare() {
        ProcessControl.ignoreBrokenPipes()
        // A file of the guest's may be as large as it says. Here it may not.
        signal(SIGXFSZ, SIG_IGN)
        var limit = rlimit(rlim_cur: 16 << 20, rlim_max: 16 << 20)
        setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
        // Making a file as another user takes no capability away. Not everybody has some to keep.
        try? FileServerJail.prepare()
    }

    public static func named(_ name: String) -> FuzzTarget? { all.first { $0.name == name } }
}

/// Set-up that fails is a failure like others: a descriptor or a folder that an earlier input left behind.
func withoutErrors(_ body: () throws -> String?) -> String? {
    do { return try body() } catch { return "\(error)" }
}

@Sendable func vsock(_ input: [UInt8]) -> String? {
    withoutErrors {
        let world = try VsockWorld()
        let device = try VsockDevice(guestCID: VsockWorld.guestCID, directory: world.directory())
        var program = RingProgram(device, world, Input(input), try GuestSpace())
        return program.run()
    }
}
