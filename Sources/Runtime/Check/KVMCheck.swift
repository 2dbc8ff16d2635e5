import KVM
import LinuxSys

/// The probe's answer and the clock as items. KVM is never required: without it QEMU emulates.
enum KVMCheck {
    private static let emulation = "containers run by QEMU's emulation (TCG), several times slower"

    static func items(_ report: KVMProbe.Report, device: String) -> [CheckItem] {
        let present = CheckItem("KVM", .ok, device)
        switch report.fitness {
        case .fit(let nanoseconds):
            let ratio = report.slowdown.map { ", \(tenths($0)) times the host's time for the same code" } ?? ""
            let detail = "runs: probed in \(tenths(Double(nanoseconds) / 1_000_000)) ms\(ratio)"
            return [present, CheckItem("KVM guest code", .ok, detail)]
        case .missing(let error):
            let advice =
                "switch virtualization on in the firmware and load kvm_intel or kvm_amd; in a virtual machine ask for "
                + "nested virtualization. Until then \(emulation)"
            return [
                CheckItem("KVM", .missing, "\(device): \(error)", advice: advice),
                CheckItem("KVM guest code", .missing, "no KVM to run it"),
            ]
        case .noPermission:
            let advice = "run as root, or join the device's group: usermod -aG kvm USER. Until then \(emulation)"
            return [
                CheckItem("KVM", .unfit, "\(device) is not for this user", advice: advice),
                CheckItem("KVM guest code", .missing, "not probed"),
            ]
        case .unfit(let reason):
            return [present, CheckItem("KVM guest code", .unfit, reason, advice: "nothing is lost: \(emulation)")]
        }
    }

    static func clock(_ clock: HostTSC?) -> CheckItem {
        guard let clock else {
            return CheckItem(
                "TSC", .note, "frequency not known: every guest measures it, 0.1 s and more at each start")
        }
        return CheckItem("TSC", .note, "\(clock.kilohertz) kHz, \(clock.source.rawValue)")
    }

    private static func tenths(_ value: Double) -> String {
        let rounded = UInt64(clamping: Int64((min(max(value, 0), 1e15) * 10).rounded()))
        return "\(rounded / 10).\(rounded % 10)"
    }
}
