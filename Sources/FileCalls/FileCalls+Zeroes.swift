import CLinux
import LinuxSys

extension FileCalls {
    private static let zeroes = [UInt8](repeating: 0, count: 128 << 10)

    /// Writes `count` zeros at `offset`, where the file system has no shorter way.
    /// - Throws: what pwrite(2) says; a part may have been written.
    public static func writeZeroes(_ fd: borrowing FileDescriptor, at offset: Int64, count: Int) throws(Errno) {
        let fd = fd.raw
        var done = 0
        while done < count {
            let (at, overflow) = offset.addingReportingOverflow(Int64(done))
            if overflow { throw .invalidArgument }
            let part = min(zeroes.count, count - done)
            let written = try retrying { pwrite(fd, zeroes, part, off_t(at)) }
            // A disk that is full in the middle says so at the next call.
            if written == 0 { throw .ioError }
            done += written
        }
    }
}
