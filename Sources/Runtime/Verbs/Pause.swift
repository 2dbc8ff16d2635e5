import OCISpec
import StateStore

/// `pause` and `resume`: stops every process of a container where it is, and lets them go on.
public enum Pause {
    public static func run(_ context: RuntimeContext, id text: String, pause: Bool) throws(RuntimeError) {
        let (id, record) = try context.record(text)
        switch (record.currentStatus, pause) {
        case (.running, true), (.created, true), (.paused, false):
            try Ask.supervisor(of: id, in: context.store, .freeze(pause))
        case (_, true): throw RuntimeError("container not running")
        case (_, false): throw RuntimeError("container not paused")
        }
    }
}
