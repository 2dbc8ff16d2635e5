import OCISpec

/// What a configuration's annotations ask for: an image as the rootfs, and images at places in the container.
///
///     io.kvm-runtime.root.image = PATH      io.kvm-runtime.root.type = FSTYPE
///     io.kvm-runtime.disk.NAME = PATH,FSTYPE,MOUNTPOINT[,ro]
struct DiskAnnotations: Equatable, Sendable {
    static let rootImage = "io.kvm-runtime.root.image"
    static let rootType = "io.kvm-runtime.root.type"
    static let rootPrefix = "io.kvm-runtime.root."
    static let diskPrefix = "io.kvm-runtime.disk."
    /// Characters of a NAME: with "disk-" in front it is the disk's serial number, which has 20.
    private static let longestName = 15

    struct Image: Equatable, Sendable {
        /// The annotation's key, for those who read an error.
        var key: String
        var name: String
        /// As it was written: absolute, or relative to the bundle.
        var path: String
        /// nil: whatever the image says that it is.
        var format: ImageFormat?
        /// Where it is mounted; nil: it is the rootfs.
        var target: String?
        var readOnly: Bool
    }

    /// The rootfs first, then by name.
    private(set) var images: [Image] = []

    init(_ annotations: [String: String]) throws(RuntimeError) {
        for (key, value) in annotations.sorted(by: { $0.key < $1.key }) {
            if key == Self.rootImage {
                let format = try annotations[Self.rootType].flatMap { text throws(RuntimeError) in
                    try Self.format(text, Self.rootType)
                }
                guard !value.isEmpty else { throw Self.wrong(key, "is empty") }
                images.insert(Image(key: key, name: "root", path: value, format: format, readOnly: false), at: 0)
            } else if key.hasPrefix(Self.diskPrefix) {
                images.append(try Self.disk(key, value))
            } else if key == Self.rootType {
                if annotations[Self.rootImage] == nil { throw Self.wrong(key, "needs \(Self.rootImage)") }
            } else if key.hasPrefix(Self.rootPrefix) {
                throw Self.wrong(key, "is not known (\(Self.rootImage), \(Self.rootType))")
            }
        }
        for (index, image) in images.enumerated() {
            if let other = images[..<index].first(where: { $0.target == image.target }) {
                throw Self.wrong(image.key, "and \(other.key) have the same mount point")
            }
        }
    }

    private static func disk(_ key: String, _ value: String) throws(RuntimeError) -> Image {
        let name = String(key.dropFirst(diskPrefix.count))
        guard (1...longestName).contains(name.utf8.count), name.utf8.allSatisfy(isNameByte) else {
            throw wrong(key, "has a name that is not of 1 to \(longestName) letters, digits, - and _")
        }
        let parts = value.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 3 || parts.count == 4 && parts[3] == "ro", !parts[0].isEmpty else {
            throw wrong(key, "must be \"PATH,FSTYPE,MOUNTPOINT\" or \"PATH,FSTYPE,MOUNTPOINT,ro\"")
        }
        let steps = parts[2].split(separator: "/", omittingEmptySubsequences: false).dropFirst()
        guard parts[2].hasPrefix("/"), !steps.contains(where: { ["", ".", ".."].contains($0) }) else {
            throw wrong(key, "has a mount point that is not absolute, \"/\", or not in its shortest form: \(parts[2])")
        }
        return Image(
            key: key, name: "disk-\(name)", path: parts[0], format: try format(parts[1], key), target: parts[2],
            readOnly: parts.count == 4)
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default: false
        }
    }

    /// "auto" is nil.
    private static func format(_ text: String, _ key: String) throws(RuntimeError) -> ImageFormat? {
        if text == "auto" { return nil }
        guard let format = ImageFormat(rawValue: text) else {
            let all = ImageFormat.allCases.map(\.rawValue).joined(separator: ", ")
            throw wrong(key, "names the file system \"\(text)\"; there are \(all), and auto")
        }
        return format
    }

    static func wrong(_ key: String, _ what: String) -> RuntimeError {
        RuntimeError("config.json: annotation \(key) \(what)")
    }
}
