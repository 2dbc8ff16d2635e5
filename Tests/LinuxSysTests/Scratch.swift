import Glibc
import LinuxSys

/// Runs `body` in a directory of its own, which is removed afterwards with all that is in it.
func inScratch(_ body: (String) throws -> Void) throws {
    let path = "/tmp/kvm-runtime-tests.\(getpid()).\(UInt64.random(in: .min ... .max))"
    _ = try once { mkdir(path, 0o700) }
    defer { removeTree(path) }
    try body(path)
}

private func removeTree(_ path: String) {
    if unlink(path) == 0 { return }
    for name in (try? File.list(path)) ?? [] { removeTree(path + "/" + name) }
    rmdir(path)
}

func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

/// What `body` throws, if it is an error number.
func errno(_ body: () throws -> Void) -> Errno? {
    do { try body() } catch { return error as? Errno }
    return nil
}
