import CLinux

/// Terminals (pty(7), termios(3)).
public enum Terminal {
    /// The settings to go back to.
    public struct Settings: @unchecked Sendable {
        fileprivate let value: termios
    }

    /// Rows and columns.
    public struct Size: Equatable, Sendable {
        public var rows: UInt16
        public var columns: UInt16

        public init(rows: UInt16, columns: UInt16) {
            self.rows = rows
            self.columns = columns
        }
    }

    /// Every byte passes as it is. Returns the settings from before.
    public static func makeRaw(_ terminal: borrowing FileDescriptor) throws(Errno) -> Settings {
        var settings = termios()
        _ = try retrying { tcgetattr(terminal.raw, &settings) }
        var raw = settings
        cfmakeraw(&raw)
        _ = try retrying { tcsetattr(terminal.raw, TCSANOW, &raw) }
        return Settings(value: settings)
    }

    public static func restore(_ settings: Settings, on terminal: borrowing FileDescriptor) {
        var value = settings.value
        _ = try? retrying { tcsetattr(terminal.raw, TCSANOW, &value) }
    }

    public static func size(of raw: CInt) throws(Errno) -> Size {
        var rows: UInt16 = 0
        var columns: UInt16 = 0
        _ = try once { clinux_get_window_size(raw, &rows, &columns) }
        return Size(rows: rows, columns: columns)
    }

    public static func setSize(_ size: Size, of raw: CInt) throws(Errno) {
        _ = try once { clinux_set_window_size(raw, size.rows, size.columns) }
    }

    /// The terminal becomes the controlling one of this process, which must lead a session without one.
    public static func makeControlling(_ terminal: borrowing FileDescriptor) throws(Errno) {
        _ = try once { clinux_set_controlling_terminal(terminal.raw) }
    }

    /// Makes the slave of a new master usable; its path.
    public static func unlock(_ master: borrowing FileDescriptor) throws(Errno) -> String {
        var number: CInt = 0
        _ = try once { clinux_unlock_pty(master.raw, &number) }
        return "/dev/pts/\(number)"
    }
}
