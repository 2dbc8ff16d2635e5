import Glibc
import LinuxSys
import Testing

/// An image of a real distribution: scripts/debian-image.sh makes it below build/, where later runs find it.
struct DebianImage {
    static let name = "docker.io/library/kvm-debian:bookworm"

    private let directory: String

    /// As an archive that containerd imports (`oci`) or that Docker and podman load (`docker`).
    func archive(_ form: String) -> String { "\(directory)/\(form).tar" }

    /// Cancels the test where there can't be one.
    static func get() throws -> DebianImage {
        switch try made.get() {
        case .image(let image): return image
        case .unavailable(let reason): try Test.cancel("\(reason)")
        }
    }

    private enum Made {
        case image(DebianImage)
        case unavailable(String)
    }

    /// Some minutes, the first time.
    private static let made = Result<Made, any Error> {
        let scripts = String(#filePath.dropLast("Tests/EndToEndTests/Harness/DebianImage.swift".count)) + "scripts"
        let directory = Build.directory + "/images/debian"
        // Programs of tests get no environment; this one is told where Debian is.
        let environment = ["DEBIAN_MIRROR", "http_proxy", "no_proxy"].compactMap { name in
            getenv(name).map { name + "=" + String(cString: $0) }
        }
        let outcome = try Running(
            "/usr/bin/env",
            ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"] + environment + [scripts + "/debian-image.sh", directory, name]
        ).finish(until: Deadline(seconds: 900))
        switch outcome.code {
        case 0: return .image(DebianImage(directory: directory))
        case 75: return .unavailable(outcome.err.split(separator: "\n").last.map(String.init) ?? "no Debian")
        default: throw Trouble("debian-image.sh: \(outcome.err.suffix(2000))")
        }
    }
}
