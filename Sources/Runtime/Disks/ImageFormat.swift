import LinuxSys

/// A file system that the guest's kernel can mount from an image.
enum ImageFormat: String, CaseIterable, Sendable {
    case ext4, erofs, squashfs

    /// Made once, never changed.
    var isReadOnly: Bool { self != .ext4 }

    /// By the magic number at the beginning of an image; nil for none of these.
    static func recognised(in start: [UInt8]) -> ImageFormat? { allCases.first { $0.isFound(in: start) } }

    /// Bytes of an image that say what it is.
    static let startBytes = 2048

    private func isFound(in start: [UInt8]) -> Bool {
        let (offset, magic): (Int, [UInt8]) =
            switch self {
            // s_magic of the super block, which begins at 1024.
            case .ext4: (1024 + 56, [0x53, 0xEF])
            case .erofs: (1024, [0xE2, 0xE1, 0xF5, 0xE0])
            case .squashfs: (0, Array("hsqs".utf8))
            }
        return start.count >= offset + magic.count && start[offset..<offset + magic.count].elementsEqual(magic)
    }
}
