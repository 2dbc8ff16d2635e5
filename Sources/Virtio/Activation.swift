/// Whether the driver has set a device up. What only a device at work has (its queues) is in `Active`, so that there
/// is no way to use it before.
public enum Activation<Active: ~Copyable>: ~Copyable {
    case inactive
    case activated(Active)

    public var isActive: Bool {
        switch self {
        case .inactive: false
        case .activated: true
        }
    }

    /// Runs `body` on what an activated device has; nil when it is inactive.
    public mutating func withActive<Result, Failure: Error>(
        _ body: (inout Active) throws(Failure) -> Result
    ) throws(Failure) -> Result? {
        switch consume self {
        case .inactive:
            self = .inactive
            return nil
        case .activated(var active):
            do throws(Failure) {
                let result = try body(&active)
                self = .activated(active)
                return result
            } catch {
                self = .activated(active)
                throw error
            }
        }
    }
}
