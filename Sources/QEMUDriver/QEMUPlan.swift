import VMDriver

/// QEMU's command line for a plan: pure, so that it can be tested.
struct QEMUPlan {
    /// The numbers of the inherited descriptors in QEMU.
    enum Inherited {
        static let control: CInt = 3
        static let console: CInt = 4
        static let vsock: CInt = 5
        static let share: CInt = 6
        /// Of the first disk; the others follow.
        static let disks: CInt = 7
    }

    let plan: VMPlan

    var options: [QEMUOption] {
        [
            .name(plan.name), .noUserConfiguration, .noDefaults, .noGraphics, .noReboot,
            .machine(.init(memoryBackend: "memory")), accelerator, cpu, .vcpus(plan.vcpus),
            .memory(mebibytes: plan.memoryMiB), .sharedMemory(id: "memory", mebibytes: plan.memoryMiB), .modernVirtio,
            .kernel(plan.kernel), .initrd(plan.initramfs), .kernelCommandLine(kernelParameters),
            .inheritedSocket(id: "control", descriptor: Inherited.control), .control(chardev: "control"),
            .inheritedSocket(id: "console", descriptor: Inherited.console), .serial(chardev: "console"),
            .inheritedSocket(id: "vsock", descriptor: Inherited.vsock), .device(.vhostUserVsock(chardev: "vsock")),
            .inheritedSocket(id: "share", descriptor: Inherited.share),
            .device(.vhostUserFS(chardev: "share", tag: plan.shareTag, queueSize: 1024)),
            .device(.balloon(freePageReporting: true)),
        ] + disks + [.sandbox]
    }

    private var disks: [QEMUOption] {
        plan.disks.indices.flatMap { index -> [QEMUOption] in
            let id = "disk\(index)"
            return [
                .inheritedSocket(id: id, descriptor: Inherited.disks + CInt(index)),
                .device(.vhostUserBlock(chardev: id, queueSize: 128)),
            ]
        }
    }

    var arguments: [String] { options.flatMap(\.arguments) + plan.hypervisorParameters }

    private var accelerator: QEMUOption {
        switch plan.accelerator {
        case .kvm: .accelerator(.kvm)
        case .emulation: .accelerator(.tcg(threads: plan.vcpus > 1 ? .multi : .single))
        }
    }

    private var cpu: QEMUOption {
        switch plan.accelerator {
        case .kvm: .cpu(model: "host", off: [], on: [])
        // ERMS makes the kernel copy with `rep movsb`, which TCG runs byte by byte.
        case .emulation: .cpu(model: "max", off: ["erms"], on: [])
        }
    }

    /// The kernel's command line: what the machine needs, what saves time, then the administrator's.
    private var kernelParameters: [String] {
        // reboot=t with -no-reboot: a triple fault ends QEMU at once. panic=-1: so does a panic.
        // rcu_expedited: making and ending namespaces and cgroups waits for grace periods, which last milliseconds
        // otherwise and interrupt nobody in a machine of few processors. numdummies, numifbs: the guest's network is a
        // container's, which expects lo alone.
        var parameters = [
            "console=ttyS0", "loglevel=3", "reboot=t", "panic=-1", "nomodule", "rcupdate.rcu_expedited=1",
            "dummy.numdummies=0", "ifb.numifbs=0",
        ]
        if plan.accelerator == .emulation {
            // The TSC ticks at the host's rate; measuring it against the emulated PIT fails now and then.
            if let kilohertz = plan.tscKilohertz { parameters.append("tsc_early_khz=\(kilohertz)") }
            // tsc=reliable: on a busy host the emulated CPU stands still for a while, which the clock's watchdog takes for
            // a broken TSC; it then falls back to jiffies, and sleeps last seconds.
            // init_on_alloc: QEMU keeps its translation of a page of code until it sees the guest write there. What a
            // vhost-user back end writes it never sees: a page that held one program's code, and holds another's from the
            // file system device now, would run as the first. The kernel's zeroes, which QEMU sees, come between the two.
            // clearcpuid=112 (rep_good; 6.1 takes numbers only): TCG runs `rep movsq` and `rep stosq` word by word, and the
            // kernel's unrolled loops are faster for every page that is copied or cleared.
            parameters += [
                "tsc=reliable", "no_timer_check", "noapictimer", "noreplace-smp", "mitigations=off", "init_on_alloc=1",
                "clearcpuid=112",
            ]
        }
        return parameters + plan.kernelParameters
    }
}
