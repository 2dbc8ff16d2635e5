import JSON
import LinuxSys
import Testing

extension EndToEnd {
    /// The lab: a true KVM on a machine that has none. QEMU's emulation knows AMD's SVM, and our guest kernel has KVM, so
    /// a guest with this machine's root as its own is a host with a /dev/kvm that is fit.
    @Suite(.enabled(if: Lab.isComplete, Lab.reason))
    struct NestedKVMTests {
        @Test("on a true KVM the probe says fit, and a container runs on it")
        func container() throws {
            try Host.use { host in
                let bundle = try host.bundle(
                    "echo clock $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource); exit 3")
                let lab = try Lab(host, bundle)
                let words = try lab.run()
                #expect(words.contains("probe: KVM runs guest code"), "\(words)")
                // Emulated guests have no kvm-clock.
                #expect(words.contains("clock kvm-clock"), "\(words)")
                #expect(words.contains("exit code 3"), "\(words)")
                #expect(words.contains("left behind: 0"), "\(words)")
            }
        }
    }
}

private struct Lab {
    static let virtiofsd = "/usr/lib/qemu/virtiofsd"
    static let qemu = "/usr/bin/qemu-system-x86_64"
    static let isComplete = File.isExecutable(virtiofsd) && File.isExecutable(qemu)
    static let reason: Comment = "QEMU or virtiofsd is missing"

    let socket: String
    let script: String
    /// kHz. Without it the outer guest measures its TSC against an emulated timer, and its KVM's clocks are wrong.
    let frequency: String

    init(_ host: Host, _ bundle: Bundle) throws {
        socket = host.directory + "/lab.sock"
        script = host.directory + "/lab.sh"
        try Files.write(script, Self.script(bundle), mode: 0o755)
        let words = try host.command("check").lines.first { $0.hasPrefix("TSC ") }?.split(separator: " ") ?? []
        guard let kilohertz = words.first(where: { Int($0) != nil }) else { throw Trouble("check names no TSC") }
        frequency = String(kilohertz)
    }

    /// The outer guest's first process. All is slow there, so it gets more time than people's machines need.
    private static func script(_ bundle: Bundle) -> String {
        """
        #!/bin/bash
        export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
        mount -t proc proc /proc
        mount -t sysfs sys /sys
        mount -t devtmpfs dev /dev
        mount -t tmpfs tmpfs /run
        cat >/run/config.toml <<END
        [guest]
        accelerator = "kvm"
        kvm_probe_milliseconds = 20000
        boot_timeout_seconds = 150
        END
        \(Build.binary) --config /run/config.toml check --json >/run/check
        grep -A 2 '"KVM guest code"' /run/check | grep -q '"ok"' && echo 'probe: KVM runs guest code'
        \(Build.binary) --config /run/config.toml --root /run/containers run --bundle \(bundle.path) nested </dev/null
        echo "exit code $?"
        echo "left behind: $(ls /run/containers | wc -l)"
        reboot -f
        """
    }

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
