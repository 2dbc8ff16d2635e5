import JSON
import JailCompiler
import OCISpec

/// A config.json: parsed, decoded, judged, written and read again; and, if it is valid, compiled into what the guest gets.
@Sendable func spec(_ input: [UInt8]) -> String? {
    let value: JSONValue
    do throws(JSONError) {
        value = try JSONValue.parse(input)
    } catch {
        return isPrintable(error.description) ? nil : "an error's text can't be printed: \(error.description)"
    }
    for style in [JSONStyle.compact, .pretty, .tabs] {
        guard let again = try? JSONValue.parse(value.bytes(style), limits: JSONLimits(bytes: .max)) else {
            return "what was written (\(style)) can't be read"
        }
        if again != value { return "what was written (\(style)) is another value" }
    }
    do throws(SpecError) {
        let spec = try Spec(json: value)
        guard let again = try? Spec(json: spec.json) else { return "a decoded configuration can't be read again" }
        if again != spec { return "a decoded configuration is another one when it was written and read" }
        _ = spec.refusals()
        try spec.validate()
        try compile(spec)
    } catch {
        if !isPrintable(error.description) { return "an error's text can't be printed: \(error.description)" }
    }
    return nil
}

private func compile(_ spec: Spec) throws(SpecError) {
    let filter = try spec.linux?.seccomp.flatMap { seccomp throws(SpecError) in try SeccompFilter(seccomp) }
    if let resources = spec.linux?.resources {
        _ = try CgroupSettings.of(resources)
        _ = DeviceFilter.program(resources.devices)
    }
    // As if every bind had a source.
    let binds = Dictionary(uniqueKeysWithValues: spec.mounts.indices.map { ($0, "mount\($0)") })
    _ = try JailPlan(spec, in: JailPlace(rootfs: "rootfs", binds: binds, filter: filter))
}

private func isPrintable(_ text: String) -> Bool {
    !text.isEmpty && text.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F }
}
