// swift-tools-version: 6.2
import PackageDescription

/// The agent: the first process of every guest. A package of its own because it is built statically and small; it
/// shares the wire with the host (AgentRooms of the package above).
let strict: [SwiftSetting] = [.swiftLanguageMode(.v6), .treatAllWarnings(as: .error)]

func shared(_ name: String) -> Target.Dependency { .product(name: name, package: "kvm-runtime") }

func room(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies + [shared("AgentRooms")], swiftSettings: strict)
}

func shim(_ name: String) -> Target {
    .target(
        name: name,
        cSettings: [
            .define("_GNU_SOURCE"), .treatAllWarnings(as: .error), .enableWarning("all"), .enableWarning("extra"),
        ])
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies + [shared("AgentRooms")], swiftSettings: strict)
}

let package = Package(
    name: "guest-agent",
    products: [.executable(name: "kvm-agent", targets: ["kvm-agent"])],
    dependencies: [.package(name: "kvm-runtime", path: "..")],
    targets: [
        shim("CInit"),
        shim("CJail"),
        room("Jail", ["CJail"]),
        room("Cgroup", []),
        room("AgentCore", ["Jail", "Cgroup"]),
        .executableTarget(
            name: "kvm-agent", dependencies: ["AgentCore", "CInit", shared("AgentRooms")], swiftSettings: strict),
        tests("JailTests", ["Jail", "CJail", .product(name: "JailRooms", package: "kvm-runtime")]),
        tests("AgentCoreTests", ["AgentCore"]),
    ]
)
