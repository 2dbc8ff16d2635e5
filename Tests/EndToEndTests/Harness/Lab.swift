import LinuxSys
import Testing

/// A host with a true KVM: a guest with this machine's root as its own, whose emulated processor has SVM.
struct Lab {
    static let virtiofsd = "/usr/lib/qemu/virtiofsd"
    static let qemu = "/usr/bin/qemu-system-x86_64"
    static let isComplete = File.isExecutable(virtiofsd) && File.isExecutable(qemu)
    static let reason: Comment = "QEMU or virtiofsd is missing"

    let socket: String
    let script: String
    /// kHz. Without it the outer guest measures its TSC against an emulated timer, and its KVM's clocks are wrong.
    let frequency: String

    /// The runtime in the outer guest.
    static let runtime = "\(Build.binary) --config /run/config.toml --root /run/containers"
    /// All is slow there, so it gets more time than people's machines need.
    static let configuring = """
        printf '%s\\n' [guest] 'accelerator = "kvm"' 'kvm_probe_milliseconds = 20000' 'boot_timeout_seconds = 150' \
            >/run/config.toml

        """

    init(_ host: Host, _ bundle: Bundle) throws {
        try self.init(
            host,
            script: """
                \(Self.runtime) check --json >/run/check
                grep -A 2 '"KVM guest code"' /run/check | grep -q '"ok"' && echo 'probe: KVM runs guest code'
                \(Self.runtime) run --bundle \(bundle.path) nested </dev/null
                echo "exit code $?"
                echo "left behind: $(ls /run/containers | wc -l)"

                """)
    }

    /// - Parameter script: what the outer guest's first process does when all is mounted
    init(_ host: Host, script text: String) throws {
        socket = host.directory + "/lab.sock"
        script = host.directory + "/lab.sh"
        try Files.write(script, Self.beginning + Self.configuring + text + "reboot -f\n", mode: 0o755)
        let words = try host.command("check").lines.first { $0.hasPrefix("TSC ") }?.split(separator: " ") ?? []
        guard let kilohertz = words.first(where: { Int($0) != nil }) else { throw Trouble("check names no TSC") }
        frequency = String(kilohertz)
    }

    private static let beginning = """
        #!/bin/bash
        export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
        mount -t proc proc /proc
        mount -t sysfs sys /sys
        mount -t devtmpfs dev /dev
        mount -t tmpfs tmpfs /run

        """

    /// What the outer guest said on its console.
    func run() throws -> String {
        let share = try Running(
            Self.virtiofsd, ["--socket-path=\(socket)", "-o", "source=/", "-o", "sandbox=chroot", "-o", "cache=auto"])
        defer { share.kill() }
        guard eventually(within: 20, { File.exists(socket) }) else { throw Trouble("virtiofsd did not start") }
        let machine = try Running(
            Self.qemu,
            [
                "-machine", "microvm,x-option-roms=off,acpi=off,memory-backend=memory", "-accel", "tcg", "-cpu",
                "max,svm=on", "-smp", "1", "-m", "2048M", "-object",
                "memory-backend-memfd,id=memory,size=2048M,share=on", "-global", "virtio-mmio.force-legacy=false",
                "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio", "-kernel",
                Build.kernel, "-append",
                "console=ttyS0 loglevel=3 reboot=t panic=-1 tsc_early_khz=\(frequency) tsc=reliable "
                    + "no_timer_check noapictimer "
                    + "rootfstype=virtiofs root=lab rw init=\(script)",
                "-chardev", "socket,id=lab,path=\(socket)", "-device", "vhost-user-fs-device,chardev=lab,tag=lab",
            ])
        return try machine.finish(until: Deadline(seconds: 240)).out
    }
}
