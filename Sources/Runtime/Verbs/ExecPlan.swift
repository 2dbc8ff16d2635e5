import AgentProtocol
import JSON
import JailCompiler
import OCISpec
import StateStore

/// A process that is to run beside a container's init: checked, and compiled for the guest.
struct ExecPlan: Sendable {
    let process: Process
    let jail: JailPlan
    /// What its descriptors behind stdio are.
    let passed: [HostDescriptor]
    /// See `ExecProcess`.
    let cgroup: [String]

    /// - Parameter firstPassed: where the descriptors that it is to have are in this process.
    init(
        _ options: ExecOptions, in context: RuntimeContext, _ id: ContainerID, firstPassed: CInt
    ) throws(RuntimeError) {
        do throws(RuntimeError) {
            passed = try HostDescriptor.all(options.preserveFds, from: firstPassed)
            cgroup = try Self.cgroup(options.cgroup)
        } catch { throw RuntimeError(error.description, exitCode: 255) }
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

    /// The names in a path below the container's cgroup, as runc takes it: it can't lead out.
    private static func cgroup(_ path: String?) throws(RuntimeError) -> [String] {
        guard let path else { return [] }
        guard !path.contains(":") else {
            throw RuntimeError(
                "--cgroup \(path): a guest has cgroup v2, where all controllers share one path: give it without them")
        }
        guard !path.split(separator: "/").contains("..") else { throw RuntimeError("bad sub cgroup path: \(path)") }
        let names = CgroupPath.parts(path)
        guard names.allSatisfy({ $0.utf8.count <= WireLimit.name }), names.count <= 64 else {
            throw RuntimeError("bad sub cgroup path: \(path)")
        }
        return names
    }
}
