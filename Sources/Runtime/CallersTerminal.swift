import Glibc

/// The terminal that a command in the foreground was started on.
enum CallersTerminal {
    /// Its descriptor; nil: there is none. stdin may be a pipe all the same, which as with runc is where input comes from.
    static var number: CInt? { [2, 1, 0].first { isatty($0) == 1 } }
}
