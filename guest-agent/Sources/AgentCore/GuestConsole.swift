import CLinux
import LinuxSys

/// The agent's words on the guest's console, for whoever reads the machine's serial port.
enum GuestConsole {
    static func say(_ text: String) {
        // Lent, not owned: the console stays open.
        let console = FileDescriptor(owning: 2)
        _ = try? console.write(Array("kvm-agent: \(text)\n".utf8))
        _ = console.release()
    }

    /// With `KVM_AGENT_TRACE=1` on the kernel's command line: how far the start is, and when.
    static func trace(_ step: @autoclosure () -> String) {
        guard isTracing else { return }
        let micros = Clock.bootNanoseconds() / 1000
        say("\(micros / 1000).\(String(micros % 1000 + 1000).dropFirst()) ms \(step())")
    }

    private static let isTracing = getenv("KVM_AGENT_TRACE") != nil
}
