import Testing
import VMDriver

@testable import QEMUDriver

struct QEMUOptionTests {
    @Test(
        arguments: [
            (QEMUOption.accelerator(.kvm), ["-accel", "kvm"]),
            (.accelerator(.tcg(threads: .single)), ["-accel", "tcg,thread=single,tb-size=256"]),
            (.accelerator(.tcg(threads: .multi)), ["-accel", "tcg,thread=multi,tb-size=256"]),
            (.cpu(model: "host", off: [], on: []), ["-cpu", "host"]),
            (.cpu(model: "max", off: ["erms", "a"], on: ["b"]), ["-cpu", "max,erms=off,a=off,b=on"]),
            (.vcpus(4), ["-smp", "4"]), (.memory(mebibytes: 512), ["-m", "512M"]),
            (
                .sharedMemory(id: "memory", mebibytes: 96),
                ["-object", "memory-backend-memfd,id=memory,size=96M,share=on"]
            ),
            (.name("c1"), ["-name", "c1"]), (.noDefaults, ["-nodefaults"]), (.noReboot, ["-no-reboot"]),
            (.noUserConfiguration, ["-no-user-config"]), (.noGraphics, ["-display", "none"]),
            (.modernVirtio, ["-global", "virtio-mmio.force-legacy=false"]),
            // These take a path as it is: only option lists are split at commas.
            (.kernel("/a,b/vmlinux"), ["-kernel", "/a,b/vmlinux"]), (.initrd("/a,b/cpio"), ["-initrd", "/a,b/cpio"]),
            (.kernelCommandLine(["a=1,2", "b"]), ["-append", "a=1,2 b"]), (.kernelCommandLine([]), ["-append", ""]),
            (.inheritedSocket(id: "vsock", descriptor: 5), ["-chardev", "socket,id=vsock,fd=5"]),
            (.serial(chardev: "console"), ["-serial", "chardev:console"]),
            (.control(chardev: "control"), ["-mon", "chardev=control,mode=control"]),
            (.device(.vhostUserVsock(chardev: "vsock")), ["-device", "vhost-user-vsock-device,chardev=vsock"]),
            (
                .device(.vhostUserFS(chardev: "share", tag: "t,x=1", queueSize: 1024)),
                ["-device", "vhost-user-fs-device,chardev=share,tag=t,,x=1,queue-size=1024"]
            ),
            (.device(.balloon(freePageReporting: true)), ["-device", "virtio-balloon-device,free-page-reporting=on"]),
            (
                .device(.balloon(freePageReporting: false)),
                ["-device", "virtio-balloon-device,free-page-reporting=off"]
            ),
            (
                .device(.vhostUserBlock(chardev: "disk0", queueSize: 128)),
                ["-device", "vhost-user-blk,chardev=disk0,num-queues=1,queue-size=128"]
            ),
            (.sandbox, ["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"]),
        ] as [(QEMUOption, [String])])
    func arguments(option: QEMUOption, arguments: [String]) { #expect(option.arguments == arguments) }

    @Test func machine() {
        let option = QEMUOption.machine(.init(memoryBackend: "memory"))
        #expect(option.arguments == ["-machine", "microvm,x-option-roms=off,acpi=off,memory-backend=memory"])
    }

    @Test(
        "commas in a value are doubled, so that it stays one value",
        arguments: [
            ("", ""), ("plain", "plain"), (",", ",,"), ("a,process=evil", "a,,process=evil"), ("a,,b,", "a,,,,b,,"),
        ])
    func commas(name: String, escaped: String) { #expect(QEMUOption.name(name).arguments == ["-name", escaped]) }
}

struct QEMUPlanTests {
    private func plan(_ accelerator: VMPlan.Accelerator, vcpus: Int, tsc: UInt32?, extra: [String]) -> [String] {
        QEMUPlan(
            plan: VMPlan(
                name: "web,1", accelerator: accelerator, vcpus: vcpus, memoryMiB: 256, kernel: "/share/vmlinux",
                initramfs: "/share/initramfs.cpio", kernelParameters: extra, tscKilohertz: tsc, shareTag: "kvmfs",
                trees: [.init(source: "/src", name: "rootfs", readOnly: false, recursive: true)])
        ).arguments
    }

    private func expected(_ accelerator: String, cpu: String, vcpus: Int, append: String) -> [String] {
        [
            "-name", "web,,1", "-no-user-config", "-nodefaults", "-display", "none", "-no-reboot",
            "-machine", "microvm,x-option-roms=off,acpi=off,memory-backend=memory", "-accel", accelerator, "-cpu", cpu,
            "-smp", "\(vcpus)", "-m", "256M", "-object", "memory-backend-memfd,id=memory,size=256M,share=on",
            "-global", "virtio-mmio.force-legacy=false", "-kernel", "/share/vmlinux",
            "-initrd", "/share/initramfs.cpio", "-append", append, "-chardev", "socket,id=control,fd=3",
            "-mon", "chardev=control,mode=control", "-chardev", "socket,id=console,fd=4", "-serial", "chardev:console",
            "-chardev", "socket,id=vsock,fd=5", "-device", "vhost-user-vsock-device,chardev=vsock",
            "-chardev", "socket,id=share,fd=6",
            "-device", "vhost-user-fs-device,chardev=share,tag=kvmfs,queue-size=1024",
            "-device", "virtio-balloon-device,free-page-reporting=on",
            "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
        ]
    }

    private static let common =
        "console=ttyS0 loglevel=3 reboot=t panic=-1 nomodule rcupdate.rcu_expedited=1 dummy.numdummies=0 ifb.numifbs=0"

    @Test("the whole command line with KVM: the TSC is the guest's own to measure")
    func kvm() {
        let parameters = Self.common + " debug a=b"
        #expect(
            plan(.kvm, vcpus: 2, tsc: 2_400_000, extra: ["debug", "a=b"])
                == expected("kvm", cpu: "host", vcpus: 2, append: parameters))
    }

    @Test("disks come last, in their order, each with a socket of its own")
    func disks() {
        var plan = VMPlan(
            name: "d", accelerator: .kvm, vcpus: 1, memoryMiB: 64, kernel: "/k", initramfs: "/i", kernelParameters: [],
            tscKilohertz: nil, shareTag: "t", trees: [])
        plan.disks = ["root", "disk-a"].map { .init(source: "/x,\($0)", readOnly: false, name: $0) }
        #expect(
            QEMUPlan(plan: plan).arguments.suffix(10) == [
                "-chardev", "socket,id=disk0,fd=7", "-device",
                "vhost-user-blk,chardev=disk0,num-queues=1,queue-size=128",
                "-chardev", "socket,id=disk1,fd=8", "-device",
                "vhost-user-blk,chardev=disk1,num-queues=1,queue-size=128",
                "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
            ])
    }

    @Test("the whole command line with TCG")
    func emulation() {
        let parameters =
            Self.common + " tsc_early_khz=2400000 tsc=reliable "
            + "no_timer_check noapictimer noreplace-smp mitigations=off init_on_alloc=1 clearcpuid=112"
        #expect(
            plan(.emulation, vcpus: 1, tsc: 2_400_000, extra: [])
                == expected("tcg,thread=single,tb-size=256", cpu: "max,erms=off", vcpus: 1, append: parameters))
        #expect(
            plan(.emulation, vcpus: 2, tsc: nil, extra: [])
                == expected(
                    "tcg,thread=multi,tb-size=256", cpu: "max,erms=off", vcpus: 2,
                    append: parameters.split(separator: " ").filter { !$0.hasPrefix("tsc_") }.joined(separator: " ")))
    }
}
