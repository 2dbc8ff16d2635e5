/// The command line: `kvm-vmm vsock --vhost-user-fd N --directory-fd M --cid C [--log-fd L]`.
struct Arguments {
    static let usage = "usage: kvm-vmm vsock --vhost-user-fd N --directory-fd N --cid N [--log-fd N]"

    /// A connected Unix socket whose other end QEMU has.
    var vhostUser: Int32
    /// Where the Unix sockets are.
    var directory: Int32
    var cid: UInt64
    /// Where to write what is worth telling; stderr without it.
    var log: Int32

    struct Problem: Error {
        let text: String
    }

    init(_ arguments: [String]) throws(Problem) {
        guard arguments.first == "vsock" else { throw Problem(text: Self.usage) }
        var numbers: [String: UInt64] = [:]
        var rest = arguments.dropFirst()
        while let name = rest.popFirst() {
            guard ["--vhost-user-fd", "--directory-fd", "--cid", "--log-fd"].contains(name) else {
                throw Problem(text: "unknown option \(name)\n\(Self.usage)")
            }
            guard let text = rest.popFirst(), let number = UInt64(text), number <= UInt64(Int32.max) else {
                throw Problem(text: "\(name) needs a number")
            }
            guard numbers.updateValue(number, forKey: name) == nil else {
                throw Problem(text: "\(name) is given twice")
            }
        }
        guard let vhostUser = numbers["--vhost-user-fd"], let directory = numbers["--directory-fd"],
            let cid = numbers["--cid"]
        else { throw Problem(text: Self.usage) }
        self.vhostUser = Int32(vhostUser)
        self.directory = Int32(directory)
        self.cid = cid
        log = Int32(numbers["--log-fd"] ?? 2)
    }
}
