import LinuxSys

/// Whether this machine's KVM runs guest code: not the same as whether there is a `/dev/kvm`.
public enum KVMFitness: Equatable, Sendable {
    /// It ran all of the probe guest, at the processor's speed; the probe took so long.
    case fit(nanoseconds: UInt64)
    /// There is no KVM: `noSuchFile` and its like.
    case missing(Errno)
    /// There is one, for others.
    case noPermission
    /// There is one, and it does not do what a guest's kernel needs. The reason is for a person.
    case unfit(reason: String)

    /// Why it is not fit, for a person; what it is, where it is.
    public var words: String {
        switch self {
        case .fit: "KVM runs guest code"
        case .missing(let error): "/dev/kvm: \(error)"
        case .noPermission: "no permission to use /dev/kvm"
        case .unfit(let reason): reason
        }
    }

    public var isFit: Bool {
        if case .fit = self { true } else { false }
    }
}
