import Glibc
import LinuxSys

/// The caller's terminal, raw for as long as a process has it.
final class RawTerminal {
    private var terminal: (descriptor: SharedDescriptor, settings: Terminal.Settings)?

    func begin() throws(RuntimeError) {
        do throws(Errno) {
            let descriptor = SharedDescriptor(try FileDescriptor.duplicate(of: CallersTerminal.number ?? 0))
            terminal = (descriptor, try Terminal.makeRaw(descriptor.descriptor))
        } catch {
            throw RuntimeError("can't set the terminal to raw mode: \(error)")
        }
    }

    func restore() {
        if let terminal { Terminal.restore(terminal.settings, on: terminal.descriptor.descriptor) }
        terminal = nil
    }

    deinit { restore() }
}
