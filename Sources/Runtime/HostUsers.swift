import LinuxSys

/// Names of the host's users, of /etc/passwd: what runc and ps(1) call the owner of a uid.
struct HostUsers {
    private let names: [UInt32: String]

    /// - Parameter file: passwd(5). What can't be read names nobody.
    init(file: String = "/etc/passwd") {
        self.init(text: String(decoding: (try? File.read(file, limit: 16 << 20)) ?? [], as: UTF8.self))
    }

    init(text: String) {
        var names: [UInt32: String] = [:]
        for line in text.split(separator: "\n") {
            let fields = line.split(separator: ":", maxSplits: 3, omittingEmptySubsequences: false)
            guard fields.count == 4, !fields[0].isEmpty, let uid = UInt32(fields[2]), names[uid] == nil else {
                continue
            }
            names[uid] = PrintableText.line(String(fields[0]))
        }
        self.names = names
    }

    /// nil: nobody has this number.
    subscript(uid: UInt32) -> String? { names[uid] }
}
