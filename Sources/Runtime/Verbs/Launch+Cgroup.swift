import LinuxSys
import OCISpec
import Spawn
import StateStore

/// A container's cgroup on the host, as its maker has it.
struct CgroupPlace: ~Copyable {
    let cgroup: HostCgroup
    /// Who is in it, until the sandbox is: systemd gives no scope without a process.
    let holder: Placeholder?

    /// The sandbox is in it now.
    consuming func release() {}
}

extension Launch {
    /// What is started while this process is in the container's cgroup is in it too.
    func startInCgroup(
        _ request: inout LaunchRequest, _ bundle: Bundle, _ id: ContainerID, _ hasTerminal: Bool,
        _ joins: [StandInProcess.Join]
    ) throws(RuntimeError) -> LaunchedSandbox {
        do throws(Errno) { try request.cgroup.enter() } catch {
            throw RuntimeError("joining the cgroup on the host: \(error)")
        }
        let standIn = try makeStandIn(bundle, request.disks, joins)
        request.standIn = standIn.pid
        do throws(RuntimeError) {
            let sandbox = try spawn(request, id, hasTerminal, standIn, bundle.spec)
            request.cgroup.leave()
            return sandbox
        } catch {
            ProcessControl.end(standIn.pid)
            throw error
        }
    }

    func makeCgroup(
        _ spec: Spec, _ id: ContainerID, _ request: LaunchRequest
    ) throws(RuntimeError) -> CgroupPlace {
        let path = try CgroupsPath(spec.linux?.cgroupsPath ?? "", id: id.text, systemd: context.systemdCgroup)
        // In another's guest the host has no limits of its own for it.
        let limits = HostLimits(
            request.sandbox.isEmpty ? spec.linux?.resources : nil, guestMemoryMiB: request.memoryMiB,
            accelerated: request.accelerated)
        let cgroup = try HostCgroup.at(path)
        // Before it is written down: whoever finds the file kills what is there.
        try checkEmpty(cgroup)
        do throws(StateError) { try context.store.write(cgroup: cgroup.json.bytes(), of: id) } catch {
            throw RuntimeError("\(error)")
        }
        let place: CgroupPlace
        if let unit = cgroup.unit, let slice = path.slice {
            place = CgroupPlace(cgroup: cgroup, holder: try startScope(unit, slice, id, limits, cgroup))
        } else {
            guard makeDirectories(cgroup) else { return CgroupPlace(cgroup: HostCgroup(places: []), holder: nil) }
            try checkEmpty(cgroup)
            place = CgroupPlace(cgroup: cgroup, holder: nil)
        }
        do throws(RuntimeError) { try limits.apply(to: cgroup) } catch {
            cgroup.remove(milliseconds: 100)
            throw error
        }
        let missing = limits.missingControllers(in: cgroup)
        if !missing.isEmpty {
            context.log.warning(
                "limits of \(missing.joined(separator: ", ")) hold in the guest, and not on the host: its cgroup has no such "
                    + "controller, because the host has none, or because one above has processes of its own and keeps it"
            )
        }
        return place
    }

    /// In a container without cgroups of its own a guest runs as well; its own kernel holds the limits.
    private func makeDirectories(_ cgroup: HostCgroup) -> Bool {
        do throws(RuntimeError) { try cgroup.make() } catch {
            context.log.warning("the sandbox is in no cgroup of its own on the host: \(error)")
            cgroup.remove(milliseconds: 0)
            return false
        }
        return true
    }

    /// Two in one would be removed together.
    private func checkEmpty(_ cgroup: HostCgroup) throws(RuntimeError) {
        let population = cgroup.population
        guard population == 0 else {
            throw RuntimeError("container's cgroup is not empty: \(population) process(es) found")
        }
    }

    /// Has systemd make the cgroup, and makes what it leaves to others (of v1, the hierarchies that it doesn't use).
    private func startScope(
        _ unit: String, _ slice: String, _ id: ContainerID, _ limits: HostLimits, _ cgroup: HostCgroup
    ) throws(RuntimeError) -> Placeholder {
        let holder: Placeholder
        do throws(Errno) { holder = try Placeholder() } catch {
            throw RuntimeError("can't make a process for the unit \(unit): \(error)")
        }
        let isUnified = cgroup.isUnified
        do throws(RuntimeError) {
            let start = try Systemd.standard.start(
                scope: unit, slice: slice, description: "kvm-runtime container \(id.text)", pid: holder.pid,
                properties: limits.properties(isUnified: isUnified), isUnified: isUnified)
            if start == .done {
                guard cgroup.contains(holder.pid) else {
                    throw RuntimeError(
                        "systemd has put the unit \(unit) elsewhere than at \(cgroup.places.map(\.directory).joined(separator: ", "))"
                    )
                }
                try cgroup.make()
                return holder
            }
        } catch {
            // What has begun is not to come about later.
            cgroup.remove(milliseconds: 100)
            throw error
        }
        throw RuntimeError(
            "systemd has a unit \(unit) already, another container's: linux.cgroupsPath has to name a new one")
    }
}
