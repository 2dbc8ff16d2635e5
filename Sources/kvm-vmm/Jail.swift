import FileCalls
import LinuxSys

/// What the process gives up before it touches a byte that the guest has written. Everything that it will ever need is
/// open by then.
enum Jail {
    /// No new root: a guest's connection to the host opens a Unix socket in the given directory by way of
    /// /proc/self/fd, and that has to stay in sight; so do open files, which are found there again.
    /// - Parameter servesFiles: keeps the capabilities of a file server, which acts for all users of a guest.
    static func enter(servesFiles: Bool) throws(Errno) {
        try ProcessControl.denyNewPrivileges()
        try ProcessControl.denyDumping()
        if servesFiles {
            try FileServerJail.prepare()
            try FileServerJail.limit()
        } else {
            try ProcessControl.dropCapabilities()
        }
    }
}
