import KVM

/// Which way a guest's instructions are run on this machine.
enum AcceleratorChoice {
    /// Asks the machine's KVM by having it run guest code, unless the configuration has decided.
    static func isAccelerated(_ configuration: Configuration, log: Log) throws(RuntimeError) -> Bool {
        switch configuration.accelerator {
        case .tcg: return false
        case .kvm:
            let fitness = probe(configuration)
            guard fitness.isFit else {
                throw RuntimeError("the configuration demands KVM (guest.accelerator), but \(fitness.words)")
            }
            return true
        case .auto:
            let fitness = probe(configuration)
            if !fitness.isFit { log.warning("using software emulation, which is slow: \(fitness.words)") }
            return fitness.isFit
        }
    }

    private static func probe(_ configuration: Configuration) -> KVMFitness {
        KVMProbe(deadlineMilliseconds: UInt32(clamping: configuration.probeTimeout)).run().fitness
    }
}
