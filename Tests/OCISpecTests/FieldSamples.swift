import JSON
import Testing

/// A field of the specification's schema; see `schemaFields`.
struct SchemaField: Sendable {
    let path: String
    let kind: String
    let isRequired: Bool

    static let all: [SchemaField] = schemaFields.map { line in
        let halves = line.split(separator: ":", maxSplits: 1).map(String.init)
        let words = halves[1].split { $0 == "," || $0 == " " }
        return SchemaField(path: halves[0], kind: String(words[0]), isRequired: words.last == "required")
    }

    /// The path as a configuration with one element and one key at each place has it: `mounts[0].options[0]`.
    var concretePath: String {
        path.split(separator: ".").reduce(into: "") { text, step in
            if step == "*" {
                let key = Samples.key(of: text)
                text += key.utf8.contains(UInt8(ascii: ".")) ? "[\"\(key)\"]" : ".\(key)"
            } else {
                text += (text.isEmpty ? "" : ".") + String(step).replacing("[]", with: "[0]")
            }
        }
    }
}

/// Values that a field may well have, so that a configuration made of them is valid.
enum Samples {
    /// The values of a field that is no object: those of its path, or of its name, or of its type.
    static func values(_ field: SchemaField) -> [JSONValue] {
        if let own = byPath[field.path] { return own }
        let name = String(field.path.split(separator: ".").last?.prefix { $0 != "[" } ?? "")
        if let own = byName[name] { return own }
        switch field.kind {
        case "string": return ["word", "with space", "Größe"]
        case "boolean": return [true]
        case "object": return []
        case "uint64": return [1, .unsigned(.max)]
        case "int64": return [1, .integer(.max)]
        default: return [1, 2, 300]
        }
    }

    /// A key of the map at a path.
    static func key(of path: String) -> String {
        switch path {
        case "linux.sysctl": "net.ipv4.ip_forward"
        case "linux.resources.unified": "memory.high"
        case "linux.resources.rdma": "mlx5_1"
        case "linux.netDevices": "eth0"
        default: "org.example.key"
        }
    }

    private static let capabilities: [JSONValue] = ["CAP_CHOWN", "CAP_KILL", "CAP_CHECKPOINT_RESTORE"]
    private static let processors: [JSONValue] = ["0", "0-3", "0-1,5"]
    private static let paths: [JSONValue] = ["/a", "/usr/local/b c", "/é"]
    private static let filterActions: [JSONValue] = [
        "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_TRAP", "SCMP_ACT_ERRNO",
        "SCMP_ACT_TRACE", "SCMP_ACT_ALLOW", "SCMP_ACT_LOG",
    ]
    private static let sizes: [JSONValue] = [-1, 1, 4096, 268_435_456]

    private static let byName: [String: [JSONValue]] = [
        "path": paths, "cwd": paths, "maskedPaths": paths, "readonlyPaths": paths, "destination": paths,
        "source": paths, "env": ["A=b", "EMPTY=", "A==", "Ä=ö"], "timeout": [1, 30],
        "cpus": processors, "mems": processors, "initial": processors, "final": processors,
        "ambient": capabilities, "bounding": capabilities, "effective": capabilities, "inheritable": capabilities,
        "permitted": capabilities, "height": [24, 65535], "width": [80, 65535],
        "weight": [10, 1000], "leafWeight": [10, 1000], "containerID": [0, 1000], "hostID": [100_000],
        "size": [1, 65536], "uid": [1, 1000], "gid": [5, 4_294_967_294],
    ]

    private static let byPath: [String: [JSONValue]] = [
        "ociVersion": ["1.0.0", "1.0.2-dev", "1.3.0"],
        "hostname": ["box"], "domainname": ["example.org"],
        "process.apparmorProfile": ["unconfined"],
        "process.ioPriority.class": ["IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"],
        "process.ioPriority.priority": [1, 7],
        "process.oomScoreAdj": [-1000, -1, 1000],
        "process.rlimits[].type": ["RLIMIT_NOFILE", "RLIMIT_RTTIME"],
        "process.scheduler.policy": ["SCHED_OTHER", "SCHED_BATCH", "SCHED_IDLE"],
        "process.scheduler.flags[]": ["SCHED_FLAG_RESET_ON_FORK", "SCHED_FLAG_RECLAIM"],
        "process.scheduler.nice": [-20, 19],
        "process.user.umask": [18, 0o777],
        "linux.devices[].fileMode": [0o666, 0o4755, 8630], "linux.devices[].major": [1, 4095],
        "linux.devices[].minor": [1, 1_048_575], "linux.devices[].type": ["c", "b", "u", "p"],
        "linux.resources.devices[].access": ["r", "rwm"], "linux.resources.devices[].type": ["a", "b", "c"],
        "linux.namespaces[].type": ["pid", "network", "mount", "ipc", "uts", "cgroup", "time", "user"],
        "linux.personality.domain": ["LINUX", "LINUX32"],
        "linux.memoryPolicy.mode": ["MPOL_BIND", "MPOL_INTERLEAVE", "MPOL_PREFERRED", "MPOL_PREFERRED_MANY"],
        "linux.memoryPolicy.flags[]": ["MPOL_F_STATIC_NODES"], "linux.memoryPolicy.nodes": ["0", "0-0", "0,0"],
        "vm.image.format": ["raw"], "linux.rootfsPropagation": ["private", "shared", "slave", "unbindable", "rslave"],
        "linux.cgroupsPath": ["/a/b", "relative", "machine.slice:libpod:abc"],
        "linux.resources.memory.limit": sizes, "linux.resources.memory.reservation": sizes,
        "linux.resources.memory.swap": sizes, "linux.resources.memory.kernel": [-1],
        "linux.resources.memory.kernelTCP": [-1], "linux.resources.pids.limit": [-1, 1, 4096],
        "linux.resources.hugepageLimits[].pageSize": ["2MB", "1GB", "64KB"],
        "linux.resources.cpu.shares": [2, 262_144], "linux.resources.cpu.idle": [1],
        "linux.seccomp.defaultAction": filterActions, "linux.seccomp.syscalls[].action": filterActions,
        "linux.seccomp.architectures[]": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_RISCV64"],
        "linux.seccomp.flags[]": [
            "SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
        ],
        "linux.seccomp.syscalls[].args[].index": [1, 5],
        "linux.seccomp.syscalls[].args[].op": [
            "SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE", "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT",
            "SCMP_CMP_MASKED_EQ",
        ],
        "linux.seccomp.defaultErrnoRet": [1, 4094], "linux.seccomp.syscalls[].errnoRet": [1, 4094],
        "mounts[].type": ["tmpfs", "proc", "sysfs", "devpts", "mqueue", "cgroup", "cgroup2"],
        "mounts[].options[]": ["ro", "nosuid", "rslave", "rnoexec", "mode=755"],
    ]

    /// What only a value of its own can be, by the path of the whole: its fields depend on one another.
    static let whole: [String: [JSONValue]] = [
        "process.rlimits": [
            [["type": "RLIMIT_NOFILE", "hard": 1_048_576, "soft": 1024]],
            [
                ["type": "RLIMIT_CORE", "hard": .unsigned(.max), "soft": .unsigned(.max)],
                ["type": "RLIMIT_NPROC", "hard": 0, "soft": 0],
            ],
        ],
        "process.scheduler": [
            ["policy": "SCHED_OTHER", "nice": -20], ["policy": "SCHED_FIFO", "priority": 99],
            [
                "policy": "SCHED_DEADLINE", "flags": ["SCHED_FLAG_RECLAIM", "SCHED_FLAG_DL_OVERRUN"],
                "runtime": 1_000_000, "deadline": 2_000_000, "period": 3_000_000,
            ],
        ],
        // Names, masked paths and offsets of clocks need some of them.
        "linux.namespaces": [
            [["type": "uts"], ["type": "mount"], ["type": "time"]],
            [
                ["type": "pid"], ["type": "network", "path": "/proc/1/ns/net"], ["type": "mount"], ["type": "ipc"],
                ["type": "uts"], ["type": "cgroup"], ["type": "time"],
            ],
        ],
        "linux.resources.memory": [
            [
                "limit": 268_435_456, "reservation": 1, "swap": 536_870_912, "kernel": -1, "kernelTCP": 5,
                "swappiness": 60, "disableOOMKiller": true, "useHierarchy": true, "checkBeforeUpdate": true,
            ],
            ["limit": -1, "swap": -1],
        ],
        "linux.memoryPolicy": [
            ["mode": "MPOL_LOCAL"], ["mode": "MPOL_DEFAULT", "flags": ["MPOL_F_STATIC_NODES"]],
            ["mode": "MPOL_BIND", "nodes": "0-3,5", "flags": ["MPOL_F_NUMA_BALANCING", "MPOL_F_RELATIVE_NODES"]],
            ["mode": "MPOL_WEIGHTED_INTERLEAVE", "nodes": "0"],
        ],
        "mounts": [
            [["destination": "/proc", "type": "proc", "source": "proc"], ["destination": "old", "type": "tmpfs"]],
            [
                [
                    "destination": "/v", "type": "bind", "source": "relative", "options": ["rbind", "idmap"],
                    "uidMappings": [["containerID": 0, "hostID": 5000, "size": 10]],
                    "gidMappings": [["containerID": 0, "hostID": 5000, "size": 10]],
                ]
            ],
        ],
        "linux.uidMappings": [[["containerID": 0, "hostID": 100_000, "size": 65536]]],
        "linux.gidMappings": [[["containerID": 0, "hostID": 100_000, "size": 65536]]],
    ]
}
