import JSON
import JailCompiler
import OCISpec
import StateStore

/// A process that is to run beside a container's init: checked, and compiled for the guest.
struct ExecPlan: Sendable {
    let process: Process
    let jail: JailPlan

    init(_ options: ExecOptions, in context: RuntimeContext, _ id: ContainerID) throws(RuntimeError) {
        var spec: Spec
        do { spec = try Spec(json: try JSONValue.parse(try context.store.spec(of: id))) } catch {
            throw RuntimeError("\(error)", exitCode: 255)
        }
        let process = try options.process(in: spec)
        // All rules of config.json's process are this one's too.
        spec.process = process
        do throws(SpecError) { try spec.validate() } catch { throw RuntimeError("\(error)", exitCode: 255) }
        let refusals = spec.refusals()
        guard refusals.isEmpty else {
            throw RuntimeError(refusals.map(\.description).joined(separator: "; "), exitCode: 255)
        }
        self.process = process
        do throws(SpecError) {
            let filter = try spec.linux?.seccomp.flatMap { seccomp throws(SpecError) in try SeccompFilter(seccomp) }
            jail = JailPlan(
                rootfs: "",
                process: try JailProcess(
                    process, terminal: nil, personality: spec.linux?.personality,
                    memoryPolicy: spec.linux?.memoryPolicy, uidMappings: spec.linux?.uidMappings ?? [],
                    filter: filter))
        } catch {
            throw RuntimeError("\(error)", exitCode: 255)
        }
    }
}
