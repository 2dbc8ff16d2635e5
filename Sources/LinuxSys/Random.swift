import CLinux

/// The kernel's random generator.
public enum Random {
    public static func bytes(_ count: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            // getrandom(2) fails only for a bad address or flag.
            filled = clinux_getrandom(buffer.baseAddress, count) == 0 ? count : 0
        }
    }
}
