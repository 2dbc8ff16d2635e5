import LinuxSys

/// What the process gives up before it touches a byte that the guest has written. Everything that it will ever need is
/// open by then.
enum Jail {
    /// No new root: a guest's connection to the host opens a Unix socket in the given directory by way of
    /// /proc/self/fd, and that has to stay in sight.
    static func enter() throws(Errno) {
        try ProcessControl.denyNewPrivileges()
        try ProcessControl.denyDumping()
        try ProcessControl.dropCapabilities()
    }
}
