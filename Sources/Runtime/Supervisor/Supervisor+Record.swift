import LinuxSys
import OCISpec
import StateStore

/// What the container's record on disk says.
extension Supervisor {
    /// Milliseconds until a record that could not be written is tried again.
    private static let recordInterval: UInt64 = 1000

    /// Writes the first one. Without state on disk nobody could find the container.
    func beginRecord() throws(StateError) {
        try store.write(record, of: id)
        // Whoever has no room for this may still have some when it counts.
        try? store.reserveRoom(for: record, of: id)
    }

    /// Has the record say so, now or, if it can't be written, as soon as it can: a container that runs does not end because a
    /// disk is full.
    /// - Returns: why it could not be written.
    @discardableResult
    func updateRecord(_ status: State.Status) -> StateError? {
        record.status = status
        do throws(StateError) {
            try store.write(record, of: id)
            recordedStatus = status
        } catch {
            if recordRetry == nil { launcher.send(.warning("\(error); it is tried again until it succeeds")) }
            retryRecord()
            return error
        }
        forgetRecordRetry()
        return nil
    }

    /// Takes back what could not be written.
    func revertRecord(to status: State.Status) {
        record.status = status
        if recordedStatus == status { forgetRecordRetry() }
    }

    private func retryRecord() {
        if let recordRetry { loop.cancel(recordRetry) }
        recordRetry = loop.after(milliseconds: Self.recordInterval) { [weak self] in
            guard let self, phase < .ended else { return }
            updateRecord(record.status)
        }
    }

    private func forgetRecordRetry() {
        if let recordRetry { loop.cancel(recordRetry) }
        recordRetry = nil
    }
}
