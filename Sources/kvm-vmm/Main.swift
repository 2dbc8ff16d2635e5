import FileCalls
import LinuxSys
import VhostUser
import Virtio
import VirtioFS
import VirtioVsock

/// What serves a device.
protocol DeviceServer: Sendable {
    /// Serves until QEMU closes the socket.
    func run(_ log: Log) throws(Main.Failure)
}

/// The device process of a guest: serves its devices to QEMU, each on a thread of its own. Ends with 0 when QEMU closes
/// the socket of one, with 1 and a line on stderr when something is wrong.
@main
enum Main {
    struct Failure: Error {
        let text: String
    }

    static func main() {
        let arguments: Arguments
        do throws(Arguments.Problem) {
            arguments = try Arguments(Array(CommandLine.arguments.dropFirst()))
        } catch {
            end(error.text, on: 2)
        }
        do throws(Failure) { try serve(arguments) } catch { end(error.text, on: arguments.log) }
    }

    /// Ends the process for a reason.
    static func end(_ text: String, on log: Int32) -> Never {
        Log(FileDescriptor(owning: log)).line(text)
        ProcessControl.exit(1)
    }

    private static func serve(_ arguments: Arguments) throws(Failure) {
        try attempt("process settings") { () throws(Errno) in
            try ProcessControl.dieWithParent()
            ProcessControl.ignoreBrokenPipes()
            try ProcessControl.closeDescriptors(except: arguments.descriptors)
            try ProcessControl.allowDescriptors(VsockDevice.mostDescriptors + FileSystemServer.mostDescriptors)
        }
        let log = Log(FileDescriptor(owning: arguments.log))
        // On the only processor the guest would wait for whoever looks for its buffers.
        let polls = ProcessControl.processors > 1
        let polling = BusyPolling(longestNanoseconds: polls ? UInt64(arguments.pollMicroseconds) * 1000 : 0)
        let vsock = try arguments.vsock.map { options throws(Failure) in try VsockServer(options, polling) }
        let fileSystem = try arguments.fileSystem.map { options throws(Failure) in
            try FileSystemServer(options, polling)
        }
        var disks: [any DeviceServer] = []
        for options in arguments.disks { disks.append(try BlockServer(options, polling)) }
        try attempt("jail") { () throws(Errno) in try Jail.enter(servesFiles: fileSystem != nil) }
        // The last one has the main thread.
        let last: (any DeviceServer)? = vsock ?? disks.popLast()
        guard let last else {
            try fileSystem?.run(log)
            return
        }
        if let fileSystem {
            try detach(fileSystem, log, arguments.log)
            // Files are the other thread's business.
            try attempt("jail") { () throws(Errno) in try ProcessControl.dropCapabilities() }
        }
        for disk in disks { try detach(disk, log, arguments.log) }
        try last.run(log)
    }

    /// Gives a device a thread of its own, with the capabilities that this one has now.
    private static func detach(_ server: any DeviceServer, _ log: Log, _ descriptor: Int32) throws(Failure) {
        try attempt("thread") { () throws(Errno) in
            try Thread.detach {
                // When it ends, QEMU is about to close the other devices' sockets too.
                do throws(Failure) { try server.run(log) } catch { end(error.text, on: descriptor) }
            }
        }
    }

    static func attempt<Result: ~Copyable>(_ step: String, _ body: () throws(Errno) -> Result) throws(Failure)
        -> Result
    {
        do throws(Errno) { return try body() } catch { throw Failure(text: "\(step): \(error)") }
    }
}
