import Glibc
import JSON
import LinuxSys
import Testing

extension EndToEnd {
    /// What a configuration chooses of its virtual machine, by `vm` and by annotations, and what it may choose.
    @Suite struct VMChoices {
        private static let kernel = Build.kernel

        @Test(arguments: [
            ("vm.kernel.path", "vm.kernels"), ("annotations[\"io.kvm-runtime.image\"]", "vm.images"),
            ("annotations[\"io.kvm-runtime.vcpus\"]", "vm.hardware"),
            ("annotations[\"io.kvm-runtime.hypervisor\"]", "vm.hypervisors"),
            ("annotations[\"io.kvm-runtime.kernel_parameters\"]", "vm.kernel_parameters"),
        ])
        func nothingWithoutTheAdministrator(field: String, key: String) throws {
            try Host.use { host in
                let outcome = try host.run("echo never") { config in
                    switch key {
                    case "vm.kernels": config.set("vm", ["kernel": ["path": .string(Self.kernel)]])
                    case "vm.images": config.set("annotations", ["io.kvm-runtime.image": "/etc/passwd"])
                    case "vm.hardware": config.set("annotations", ["io.kvm-runtime.vcpus": "2"])
                    case "vm.hypervisors":
                        config.set("annotations", ["io.kvm-runtime.hypervisor": "/usr/bin/qemu-system-x86_64"])
                    default: config.set("annotations", ["io.kvm-runtime.kernel_parameters": "init=/bin/sh"])
                    }
                }
                #expect(outcome.code == 1 && outcome.complaints.count == 1 && outcome.out.isEmpty)
                #expect(
                    outcome.err.contains("\(field)") && outcome.err.contains("can allow it with \(key)"),
                    "\(outcome.err)")
            }
        }

        @Test func hardware() throws {
            try Host.use { host in
                try host.configure("[vm]\nhardware = true\n")
                let script = "nproc; awk '/^MemTotal/ { print ($2 > 180000 && $2 < 200000) }' /proc/meminfo"
                let annotated = try host.run(script) {
                    $0.set("annotations", ["io.kvm-runtime.vcpus": "2", "io.kvm-runtime.memory_mib": "200"])
                }
                let cpus = min(2, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
                #expect(annotated.lines == ["\(cpus)", "1"], "\(annotated)")
                let bad = try host.run("true") { $0.set("annotations", ["io.kvm-runtime.memory_mib": "many"]) }
                #expect(bad.code == 1 && bad.err.contains("\"many\" is no number"))
                let unknown = try host.run("true") { $0.set("annotations", ["io.kvm-runtime.nonsense": "1"]) }
                #expect(unknown.code == 1 && unknown.err.contains("io.kvm-runtime.nonsense\"] is unknown"))
            }
        }

        @Test func kernelAndHypervisor() throws {
            try Host.use { host in
                let place = host.directory + "/kernels"
                try File.makeDirectories(place + "/deeper", mode: 0o755)
                #expect(try Running("/bin/cp", [Self.kernel, place + "/own"]).finish().code == 0)
                #expect(try Running("/bin/cp", [Self.kernel, place + "/deeper/other"]).finish().code == 0)
                symlink(Self.kernel, place + "/link")
                try host.configure(
                    """
                    [vm]
                    kernels = ["\(place)/*"]
                    hypervisors = ["/usr/bin/qemu-system-*"]
                    kernel_parameters = ["e2e.marker=*"]
                    hypervisor_parameters = ["-msg", "timestamp=*"]

                    """)
                func run(_ path: String, _ edit: (inout JSONValue) -> Void = { _ in }) throws -> Outcome {
                    try host.run("grep -o 'e2e.marker=[0-9]*' /proc/cmdline; cat /proc/cmdline > /dev/null; echo up") {
                        $0.set("vm", ["kernel": ["path": .string(path), "parameters": ["e2e.marker=17"]]])
                        edit(&$0)
                    }
                }
                let own = try run(place + "/own") {
                    $0.set(
                        "vm.hypervisor",
                        ["path": "/usr/bin/qemu-system-x86_64", "parameters": ["-msg", "timestamp=on"]])
                }
                #expect(own.lines == ["e2e.marker=17", "up"], "\(own)")
                // Neither a slash nor a symlink leads past the pattern.
                for path in [place + "/deeper/other", place + "/link", place + "/../kernels/own"] {
                    let refused = try run(path)
                    #expect(refused.code == 1 && refused.err.contains("vm.kernel.path is not allowed"), "\(path)")
                }
                let parameter = try run(place + "/own") { $0.set("vm.kernel.parameters", ["init=/bin/sh"]) }
                #expect(parameter.code == 1 && parameter.err.contains("init=/bin/sh is not allowed"))
                let image = try run(place + "/own") { $0.set("vm.image", ["path": "/x", "format": "raw"]) }
                #expect(image.code == 1 && image.err.contains("vm.image.path is not allowed"), "\(image.err)")
            }
        }
    }
}
