import OCISpec

/// `linux.memoryPolicy` in the numbers of set_mempolicy(2).
public struct MemoryPolicy: Equatable, Sendable {
    /// The mode, with its flags.
    public var mode: UInt32
    /// A bit a node; 0: no node is named.
    public var nodes: UInt64

    /// - Throws: names what is unknown, or has more nodes than a guest can have.
    init(_ policy: Linux.MemoryPolicy) throws(SpecError) {
        guard let number = Linux.MemoryPolicy.modes[policy.mode] else {
            throw SpecError(path: "linux.memoryPolicy.mode", message: "is unknown")
        }
        mode = number
        for (index, name) in policy.flags.enumerated() {
            guard let flag = Linux.MemoryPolicy.flagNumbers[name] else {
                throw SpecError(path: "linux.memoryPolicy.flags[\(index)]", message: "is unknown")
            }
            mode |= flag
        }
        nodes = 0
        guard !policy.nodes.isEmpty else { return }
        guard let numbers = NumberList.numbers(in: policy.nodes), numbers.allSatisfy({ $0 < UInt64.bitWidth }) else {
            throw SpecError(path: "linux.memoryPolicy.nodes", message: "is no list of memory nodes such as 0-3,7")
        }
        for number in numbers { nodes |= 1 << UInt64(number) }
    }
}
