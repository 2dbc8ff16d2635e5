// swift-tools-version: 6.2
import PackageDescription

/// The rooms of the house and who may import whom: docs/architecture.md. `make lint` holds this file against the code.
let strict: [SwiftSetting] = [.swiftLanguageMode(.v6), .treatAllWarnings(as: .error)]

func room(_ name: String, _ dependencies: [Target.Dependency] = [], path: String? = nil) -> Target {
    .target(name: name, dependencies: dependencies, path: path ?? "Sources/\(name)", swiftSettings: strict)
}

func shim(_ name: String) -> Target {
    .target(
        name: name, path: "Sources/\(name)",
        cSettings: [
            .define("_GNU_SOURCE"), .treatAllWarnings(as: .error), .enableWarning("all"), .enableWarning("extra"),
        ])
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies, path: "Tests/\(name)", swiftSettings: strict)
}

let package = Package(
    name: "kvm-runtime",
    products: [
        .executable(name: "kvm-runtime", targets: ["kvm-runtime"]),
        .executable(name: "kvm-vmm", targets: ["kvm-vmm"]),
        // What the guest's agent (guest-agent/, a package of its own) shares with the host.
        .library(name: "AgentRooms", targets: ["CLinux", "LinuxSys", "AgentProtocol"]),
        // The host's other half of it, for the agent's tests.
        .library(name: "JailRooms", targets: ["OCISpec", "JailCompiler"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    ],
    targets: [
        shim("CLinux"),
        shim("CSpawn"),
        shim("CKVM"),
        shim("CFileCalls"),
        room("LinuxSys", ["CLinux"]),
        room("Spawn", ["CSpawn", "LinuxSys"]),
        room("JSON"),
        room("DBus", ["LinuxSys"]),
        room("OCISpec", ["JSON"]),
        room("AgentProtocol"),
        .target(
            name: "CSeccomp", path: "Sources/CSeccomp",
            cSettings: [
                .define("_GNU_SOURCE"), .treatAllWarnings(as: .error), .enableWarning("all"), .enableWarning("extra"),
            ], linkerSettings: [.linkedLibrary("seccomp")]),
        room("JailCompiler", ["CSeccomp", "OCISpec", "AgentProtocol", "LinuxSys"]),
        room("GuestMemory", ["LinuxSys", "CLinux"]),
        room("Virtio", ["GuestMemory"]),
        room("VirtioVsock", ["Virtio", "GuestMemory", "VMMWire", "LinuxSys"], path: "Sources/VirtioDevices/Vsock"),
        room("FileCalls", ["CFileCalls", "CLinux", "LinuxSys"]),
        room(
            "VirtioFS", ["Virtio", "GuestMemory", "FileCalls", "VMMWire", "LinuxSys"],
            path: "Sources/VirtioDevices/FileSystem"),
        room(
            "VirtioBlock", ["Virtio", "GuestMemory", "FileCalls", "LinuxSys"], path: "Sources/VirtioDevices/Block"),
        room("VhostUser", ["Virtio", "GuestMemory", "LinuxSys"]),
        room("KVM", ["CKVM", "LinuxSys"]),
        room("VMMWire"),
        room("VMDriver", ["VMMWire", "LinuxSys"]),
        room("QEMUDriver", ["VMDriver", "VMMWire", "FileCalls", "LinuxSys", "Spawn", "JSON"]),
        room("StateStore", ["LinuxSys", "OCISpec", "JSON"]),
        room(
            "Runtime",
            [
                "CLinux", "LinuxSys", "Spawn", "JSON", "OCISpec", "AgentProtocol", "JailCompiler", "KVM", "VMMWire",
                "VMDriver", "QEMUDriver", "StateStore", "DBus",
                .product(name: "Logging", package: "swift-log"),
            ]),
        .executableTarget(
            name: "kvm-runtime",
            dependencies: [
                "Runtime", "LinuxSys", "OCISpec",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], path: "Sources/kvm-runtime", swiftSettings: strict,
            // Without the dynamic linker a command starts in half the time, and two processes a sandbox are 2 MB smaller
            // each. kvm-vmm, which handles the guest's memory, stays position-independent.
            linkerSettings: [.unsafeFlags(["-static-executable"], .when(configuration: .release))]),
        .executableTarget(
            name: "kvm-vmm",
            dependencies: [
                "VhostUser", "Virtio", "VirtioVsock", "VirtioFS", "VirtioBlock", "FileCalls", "VMMWire", "LinuxSys",
            ],
            path: "Sources/kvm-vmm",
            swiftSettings: strict),
        // What `make fuzz` runs, and what the unit tests replay: optimised there too, for it is thousands of programs.
        .target(
            name: "FuzzTargets",
            dependencies: [
                "VhostUser", "VirtioVsock", "VirtioFS", "VirtioBlock", "Virtio", "GuestMemory", "FileCalls", "VMMWire",
                "AgentProtocol", "OCISpec", "JailCompiler", "JSON", "LinuxSys", "CLinux",
            ], path: "Tests/FuzzTargets",
            swiftSettings: strict + [.unsafeFlags(["-O"], .when(configuration: .debug))]),
        .executableTarget(
            name: "kvm-fuzz", dependencies: ["FuzzTargets", "LinuxSys"], path: "Tests/Fuzz", swiftSettings: strict),
        tests("FuzzTests", ["FuzzTargets", "VirtioFS", "Virtio", "GuestMemory", "LinuxSys"]),
        tests("LinuxSysTests", ["LinuxSys", "Spawn"]),
        tests("JSONTests", ["JSON"]),
        tests("OCISpecTests", ["OCISpec", "JSON"]),
        tests("AgentProtocolTests", ["AgentProtocol"]),
        tests("JailCompilerTests", ["JailCompiler", "OCISpec", "AgentProtocol", "JSON", "LinuxSys"]),
        room("DeviceTesting", ["Virtio", "GuestMemory"], path: "Tests/DeviceTesting"),
        tests("VirtioTests", ["DeviceTesting", "Virtio", "GuestMemory", "LinuxSys"]),
        tests("VirtioVsockTests", ["DeviceTesting", "VirtioVsock", "VMMWire", "Virtio", "GuestMemory", "LinuxSys"]),
        tests(
            "VirtioFSTests", ["DeviceTesting", "VirtioFS", "FileCalls", "VMMWire", "Virtio", "GuestMemory", "LinuxSys"]),
        tests("VirtioBlockTests", ["DeviceTesting", "VirtioBlock", "Virtio", "GuestMemory", "LinuxSys"]),
        tests("VMMWireTests", ["VMMWire"]),
        tests(
            "VhostUserTests",
            ["DeviceTesting", "VhostUser", "VirtioVsock", "Virtio", "GuestMemory", "LinuxSys", "CLinux"]),
        tests("KVMTests", ["KVM", "CKVM", "LinuxSys"]),
        tests("QEMUDriverTests", ["QEMUDriver", "VMDriver", "LinuxSys", "JSON"]),
        tests("StateStoreTests", ["StateStore", "OCISpec", "LinuxSys"]),
        tests("DBusTests", ["DBus", "LinuxSys"]),
        tests("RuntimeTests", ["Runtime", "DBus", "KVM", "OCISpec", "AgentProtocol", "LinuxSys", "JSON"]),
        tests("EndToEndTests", ["LinuxSys", "Spawn", "JSON", "OCISpec", "JailCompiler"]),
    ]
)
