import Glibc
import LinuxSys

/// The programs that the runtime starts.
enum ProgramCheck {
    /// The first of `candidates` that can be executed.
    static func find(_ candidates: [String], path: String? = nil) -> String? {
        let folders = (path ?? searchPath()).split(separator: ":")
        for candidate in candidates {
            if candidate.utf8.contains(UInt8(ascii: "/")) {
                if File.isExecutable(candidate) { return candidate }
            } else if let folder = folders.first(where: { File.isExecutable("\($0)/\(candidate)") }) {
                return "\(folder)/\(candidate)"
            }
        }
        return nil
    }

    static func qemu(_ candidates: [String], milliseconds: UInt64 = 5000) -> CheckItem {
        func item(_ status: CheckItem.Status, _ detail: String, _ advice: String? = nil) -> CheckItem {
            CheckItem("QEMU", status, detail, advice: advice, required: true)
        }
        guard let path = find(candidates) else {
            let advice = "install it: apt install qemu-system-x86, or dnf install qemu-kvm"
            return item(.missing, candidates.joined(separator: ", "), advice)
        }
        let output: String
        do throws(ProgramOutput.Failure) {
            output = try ProgramOutput.read(path, ["--version"], milliseconds: milliseconds)
        } catch {
            return item(.unfit, "\(path) --version: \(error)", "install QEMU again")
        }
        guard let version = QEMUVersion(parsing: output) else {
            return item(.unfit, "\(path): not QEMU's: \(output.prefix { $0 != "\n" })", "name QEMU's system emulator")
        }
        guard version >= .oldest else {
            return item(.unfit, "\(path), version \(version)", "install QEMU \(QEMUVersion.oldest) or a later one")
        }
        return item(.ok, "\(path), version \(version)")
    }

    static func virtiofsd(_ path: String) -> CheckItem {
        if File.isExecutable(path) { return CheckItem("virtiofsd", .ok, path, required: true) }
        return CheckItem(
            "virtiofsd", .missing, path, advice: "install it, or leave out paths.virtiofsd", required: true)
    }

    private static func searchPath() -> String {
        guard let value = getenv("PATH") else { return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" }
        return String(cString: value)
    }
}

/// The version of a QEMU: "QEMU emulator version 7.2.22 (Debian …)".
struct QEMUVersion: Comparable, CustomStringConvertible {
    let parts: [UInt32]

    /// The first with vhost-user-vsock on the microvm machine.
    static let oldest = QEMUVersion(parts: [5, 1])

    init(parts: [UInt32]) { self.parts = parts }

    init?(parsing output: String) {
        let words = output.prefix { $0 != "\n" }.split(separator: " ")
        guard words.first == "QEMU", let at = words.firstIndex(of: "version"), at + 1 < words.endIndex else {
            return nil
        }
        // "4.2.1(qemu-kvm-4.2.1)" and "9.2.0-rc1" are 4.2.1 and 9.2.0.
        let number = words[at + 1].prefix { $0 == "." || ("0"..."9").contains($0) }
        let parts = number.split(separator: ".").compactMap { UInt32($0) }
        guard parts.count >= 2 else { return nil }
        self.init(parts: parts)
    }

    static func < (left: QEMUVersion, right: QEMUVersion) -> Bool { left.parts.lexicographicallyPrecedes(right.parts) }

    var description: String { parts.map { "\($0)" }.joined(separator: ".") }
}
