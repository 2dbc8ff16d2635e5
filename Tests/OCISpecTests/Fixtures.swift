import JSON
import OCISpec
import Testing

enum Fixture {
    /// The kind of configuration that docker and podman write.
    static let podman = #"""
        {"ociVersion":"1.0.2-dev","process":{"terminal":true,"consoleSize":{"height":24,"width":80},
        "user":{"uid":1000,"gid":1000,"umask":18,"additionalGids":[10,20]},"args":["/bin/sh","-c","echo é"],
        "env":["PATH=/usr/bin:/bin","TERM=xterm","EMPTY=","container=podman"],"cwd":"/home/user",
        "capabilities":{"bounding":["CAP_CHOWN","CAP_KILL","CAP_CHECKPOINT_RESTORE"],"effective":["CAP_KILL"],
        "inheritable":[],"permitted":["CAP_KILL"],"ambient":[]},
        "rlimits":[{"type":"RLIMIT_NOFILE","hard":1048576,"soft":1024},
        {"type":"RLIMIT_NPROC","hard":18446744073709551615,"soft":18446744073709551615}],
        "noNewPrivileges":true,"oomScoreAdj":-500,"apparmorProfile":"unconfined","selinuxLabel":""},
        "root":{"path":"/var/lib/containers/merged","readonly":true},"hostname":"box","domainname":"lan",
        "mounts":[{"destination":"/proc","type":"proc","source":"proc","options":["nosuid","noexec","nodev"]},
        {"destination":"/dev","type":"tmpfs","source":"tmpfs","options":["nosuid","strictatime","mode=755"]},
        {"destination":"/run","type":"tmpfs","source":"tmpfs","options":["rw","rprivate","nodev","tmpcopyup"]},
        {"destination":"/sys/fs/cgroup","type":"cgroup","source":"cgroup","options":["rprivate","ro"]},
        {"destination":"/etc/hosts","type":"bind","source":"/run/hosts","options":["bind","rprivate","ro"]}],
        "hooks":{"prestart":null,"poststop":[]},
        "annotations":{"io.container.manager":"libpod","org.opencontainers.image.stopSignal":"15"},
        "linux":{"uidMappings":[],"sysctl":{"net.ipv4.ping_group_range":"0 0"},
        "resources":{"devices":[{"allow":false,"access":"rwm"},
        {"allow":true,"type":"c","major":10,"minor":229,"access":"rwm"}],
        "memory":{"limit":268435456,"swap":536870912,"reservation":0,"disableOOMKiller":false,"kernel":-1},
        "cpu":{"shares":512,"quota":50000,"period":100000,"cpus":"0-1","mems":"0","realtimeRuntime":0},
        "pids":{"limit":2048},"blockIO":{"weight":0},"network":{},
        "hugepageLimits":[{"pageSize":"2MB","limit":0}],"unified":{"memory.high":"200M"}},
        "cgroupsPath":"machine.slice:libpod:abc",
        "namespaces":[{"type":"pid"},{"type":"network"},{"type":"ipc"},{"type":"uts"},{"type":"mount"},
        {"type":"cgroup"}],
        "devices":[{"path":"/dev/fuse","type":"c","major":10,"minor":229,"fileMode":8630,"uid":0,"gid":0},
        {"path":"/dev/pipe","type":"p"}],
        "rootfsPropagation":"rslave","maskedPaths":["/proc/kcore"],"readonlyPaths":["/proc/sys"],
        "seccomp":{},"personality":{"domain":"LINUX"},"intelRdt":{},"timeOffsets":{"monotonic":{"secs":0}}},
        "windows":{"layerFolders":1},"somethingNew":{"x":[]}}
        """#

    /// One that says everything the specification knows.
    static let everything = #"""
        {"ociVersion":"1.3.0","process":{"user":{"uid":0,"gid":0,"username":"root"},"args":["x"],"cwd":"/",
        "apparmorProfile":"strict","selinuxLabel":"system_u","ioPriority":{"class":"IOPRIO_CLASS_BE","priority":4},
        "scheduler":{"policy":"SCHED_DEADLINE","nice":-20,"priority":1,"flags":["SCHED_FLAG_RECLAIM"],
        "runtime":1,"deadline":2,"period":3},"execCPUAffinity":{"initial":"0-3","final":"7"}},
        "root":{"path":"rootfs"},
        "mounts":[{"destination":"data","type":"none","source":"src","options":["rbind","rro","idmap"],
        "uidMappings":[{"containerID":0,"hostID":1000,"size":1}],
        "gidMappings":[{"containerID":0,"hostID":5,"size":1}]}],
        "hooks":{"prestart":[{"path":"/a"}],"createRuntime":[{"path":"/b"}],"createContainer":[{"path":"/c"}],
        "startContainer":[{"path":"/d"}],"poststart":[{"path":"/e"}],
        "poststop":[{"path":"/f","args":["f","x"],"env":["A=B"],"timeout":3}]},
        "linux":{"uidMappings":[{"containerID":0,"hostID":100000,"size":65536}],
        "gidMappings":[{"containerID":0,"hostID":100000,"size":65536}],
        "timeOffsets":{"monotonic":{"secs":-5,"nanosecs":7}},"netDevices":{"eth0":{},"eth1":{"name":"lan"}},
        "namespaces":[{"type":"network","path":"/run/netns/x"},{"type":"user"},{"type":"time"}],
        "devices":[{"path":"/dev/sda","type":"b","major":8,"minor":0},{"path":"/dev/u","type":"u","major":1,"minor":1}],
        "resources":{"memory":{"limit":-1,"kernel":1,"kernelTCP":2,"swappiness":0,"disableOOMKiller":true,
        "useHierarchy":true,"checkBeforeUpdate":true},
        "cpu":{"burst":5,"idle":1,"realtimeRuntime":950000,"realtimePeriod":1000000},
        "blockIO":{"weight":10,"leafWeight":10,"weightDevice":[{"major":8,"minor":0,"weight":500,"leafWeight":300}],
        "throttleReadBpsDevice":[{"major":8,"minor":0,"rate":600}],
        "throttleWriteBpsDevice":[{"major":8,"minor":0,"rate":601}],
        "throttleReadIOPSDevice":[{"major":8,"minor":0,"rate":602}],
        "throttleWriteIOPSDevice":[{"major":8,"minor":0,"rate":603}]},
        "hugepageLimits":[{"pageSize":"2MB","limit":9223372036854772000}],
        "network":{"classID":1048577,"priorities":[{"name":"eth0","priority":500}]},
        "rdma":{"mlx5_1":{"hcaHandles":3,"hcaObjects":10000}}},
        "seccomp":{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":38,
        "architectures":["SCMP_ARCH_X86_64","SCMP_ARCH_X86"],"flags":[],"listenerPath":"/s","listenerMetadata":"m",
        "syscalls":[{"names":["read","write"],"action":"SCMP_ACT_ALLOW"},{"names":["personality"],
        "action":"SCMP_ACT_ERRNO","errnoRet":1,"args":[{"index":0,"value":18446744073709551615,"valueTwo":1,
        "op":"SCMP_CMP_MASKED_EQ"}]}]},
        "mountLabel":"system_u","personality":{"domain":"LINUX32","flags":["X"]},
        "intelRdt":{"closID":"c","schemata":["L3:0=f"],"l3CacheSchema":"L3","memBwSchema":"MB","enableMonitoring":true},
        "memoryPolicy":{"mode":"MPOL_BIND","nodes":"0-1","flags":["MPOL_F_STATIC_NODES"]}},
        "vm":{"hypervisor":{"path":"/h","parameters":["a"]},"kernel":{"path":"/k","parameters":["b"],"initrd":"/i"},
        "image":{"path":"/r","format":"raw"},"hwConfig":{"deviceTree":"/d","vcpus":1,"memory":4194304,
        "dtdevs":["x"],"iomems":[{"firstGFN":1,"firstMFN":2,"nrMFNs":3}],"irqs":[11]}}}
        """#

    static func spec(_ text: String = podman) throws -> Spec {
        try Spec.parse(Array(text.utf8))
    }
}

/// The description of what `body` throws, or nil.
func failure(_ body: () throws -> Void) -> String? {
    do {
        try body()
        return nil
    } catch {
        return "\(error)"
    }
}

/// The same numbers in every run (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
