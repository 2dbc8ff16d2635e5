import Glibc
import JSON
import LinuxSys
import Testing

extension EndToEnd {
    /// config.json as the container's process finds it done. A guest tells many facts; each is a case.
    @Suite struct Inside {
        // MARK: The default configuration

        /// What is seen with `runc spec`'s config.json, but for the terminal.
        private static let defaults = Result<Facts, any Error> {
            try Host.use { host in
                let facts = Facts(
                    try host.run(
                        """
                        echo hostname=$(hostname); echo pid=$$; echo cwd=$(pwd); echo home=$HOME; echo term=$TERM
                        echo path=$PATH; echo id=$(id -u):$(id -g):$(id -G); echo umask=$(umask)
                        echo nofile=$(ulimit -Sn):$(ulimit -Hn)
                        sed -n 's/^\\(Cap[A-Z][a-z]*\\|NoNewPrivs\\|Seccomp\\):[[:space:]]*/\\1=/p' /proc/self/status
                        echo init=$(head -c 7 /proc/1/cmdline)
                        echo processes=$(set -- /proc/[0-9]*; echo $#)
                        touch /new 2>/dev/null; echo rootwrite=$?
                        touch /dev/shm/new; echo shmwrite=$?
                        touch /sys/new 2>/dev/null || echo 1 2>/dev/null >/sys/kernel/profiling; echo syswrite=$?
                        awk '{ print "mount " $2 "=" $3 }' /proc/mounts
                        awk '$2 == "/dev/shm" || $2 == "/sys" || $2 == "/dev/mqueue" || $2 == "/sys/fs/cgroup" \
                            { n = split($4, o, ","); for (i = 1; i <= n; i++) \
                                print "option " $2 " " o[i] (o[i] ~ "=" ? "" : "=yes") }' /proc/mounts
                        echo shmsize=$(df -k /dev/shm | awk 'END { print $2 }') shmmode=$(stat -c %a /dev/shm)
                        for d in null zero full tty random urandom; do
                            echo "device $d=$(stat -c '%F %t:%T %a' /dev/$d)"; done
                        for l in fd stdin stdout stderr ptmx; do echo "link $l=$(readlink /dev/$l)"; done
                        echo x >/dev/null; echo null=$?; echo zero=$(head -c 3 /dev/zero | wc -c)
                        cat /proc/kcore 2>/dev/null | wc -c | sed s/^/kcore=/
                        ls /sys/firmware | wc -l | sed s/^/firmware=/
                        echo 1 2>/dev/null >/proc/sys/kernel/hostname; echo sysctlwrite=$?
                        echo c 2>/dev/null >/proc/sysrq-trigger; echo sysrq=$?
                        echo cgroupwrite=$(mkdir /sys/fs/cgroup/new 2>/dev/null; echo $?)
                        ls /sys/fs/cgroup/cgroup.procs >/dev/null; echo cgroupfile=$?
                        echo interfaces=$(ls /sys/class/net | tr '\\n' ' '); echo lo=$(cat /sys/class/net/lo/operstate)
                        echo kernel=$(uname -s)
                        echo fds=$(ls /proc/self/fd | tr '\\n' ' ')
                        """))
                guard facts["fds"] != nil else { throw Trouble("the container did not tell: \(facts.outcome.err)") }
                return facts
            }
        }

        @Test(arguments: [
            Expectation("hostname", "runc"), Expectation("pid", "1"), Expectation("cwd", "/"),
            Expectation("home", "/root", "from /etc/passwd, as config.json has none"), Expectation("term", "xterm"),
            Expectation("path", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
            Expectation("id", "0:0:0"), Expectation("umask", "0022"), Expectation("nofile", "1024:1024"),
            Expectation("CapEff", "0000000020000420"), Expectation("CapPrm", "0000000020000420"),
            Expectation("CapBnd", "0000000020000420"), Expectation("CapAmb", "0000000000000000", "not inheritable"),
            Expectation("CapInh", "0000000000000000"), Expectation("NoNewPrivs", "1"), Expectation("Seccomp", "0"),
            Expectation("init", "/bin/sh"), Expectation("processes", "2", "sh and $()"),
            Expectation("rootwrite", "1"), Expectation("shmwrite", "0"), Expectation("syswrite", "1"),
            Expectation("mount /proc", "proc"), Expectation("mount /dev", "tmpfs"),
            Expectation("mount /dev/pts", "devpts"), Expectation("mount /dev/mqueue", "mqueue"),
            Expectation("mount /sys", "sysfs"), Expectation("mount /sys/fs/cgroup", "cgroup2"),
            Expectation("option /dev/shm nosuid", "yes"), Expectation("option /dev/shm nodev", "yes"),
            Expectation("option /dev/shm noexec", "yes"), Expectation("option /dev/shm size", "65536k"),
            Expectation("option /sys ro", "yes"), Expectation("option /sys nosuid", "yes"),
            Expectation("option /dev/mqueue noexec", "yes"), Expectation("option /sys/fs/cgroup ro", "yes"),
            Expectation("shmsize", "65536 shmmode=1777"),
            Expectation("device null", "character special file 1:3 666"),
            Expectation("device zero", "character special file 1:5 666"),
            Expectation("device full", "character special file 1:7 666"),
            Expectation("device tty", "character special file 5:0 666"),
            Expectation("device random", "character special file 1:8 666"),
            Expectation("device urandom", "character special file 1:9 666"),
            Expectation("link fd", "/proc/self/fd"), Expectation("link stdin", "/proc/self/fd/0"),
            Expectation("link stdout", "/proc/self/fd/1"), Expectation("link stderr", "/proc/self/fd/2"),
            Expectation("link ptmx", "pts/ptmx"),
            Expectation("null", "0"), Expectation("zero", "3"), Expectation("kcore", "0", "masked"),
            Expectation("firmware", "0", "masked"), Expectation("sysctlwrite", "1", "read-only"),
            Expectation("sysrq", "1", "read-only"), Expectation("cgroupwrite", "1"),
            Expectation("cgroupfile", "0"), Expectation("interfaces", "lo"), Expectation("lo", "unknown", "up"),
            Expectation("kernel", "Linux"), Expectation("fds", "0 1 2 3", "the last is ls's own"),
        ])
        func defaultConfiguration(_ expected: Expectation) throws {
            let found = try Self.defaults.get()[expected.fact]
            #expect(found == expected.value)
        }

        @Test func kernelIsNotTheHosts() throws {
            let host = try Files.text("/proc/sys/kernel/version")
            let outcome = try Host.use { try $0.run("uname -v; cat /proc/sys/kernel/random/boot_id") }
            #expect(outcome.lines.count == 2)
            #expect(outcome.lines.first != host.split(separator: "\n").first.map(String.init))
            #expect(
                outcome.lines.last
                    != (try Files.text("/proc/sys/kernel/random/boot_id")).split(separator: "\n").first.map(String.init)
            )
        }

        // MARK: A configuration that sets everything

        private static let custom = Result<Facts, any Error> {
            try Host.use { host in
                let script = """
                    echo id=$(id -u):$(id -g); echo groups=$(sed -n 's/^Groups:[[:space:]]*//p' /proc/self/status)
                    echo umask=$(umask); echo cwd=$(pwd); echo home=$HOME; echo greeting=$GREETING; echo empty=[$EMPTY]
                    sed -n 's/^\\(Cap[A-Z][a-z]*\\|NoNewPrivs\\):[[:space:]]*/\\1=/p' /proc/self/status
                    echo nofile=$(ulimit -Sn):$(ulimit -Hn); echo core=$(ulimit -Sc):$(ulimit -Hc)
                    echo hostname=$(hostname); echo domainname=$(cat /proc/sys/kernel/domainname)
                    echo oom=$(cat /proc/self/oom_score_adj)
                    echo shmmax=$(cat /proc/sys/kernel/shmmax); echo forward=$(cat /proc/sys/net/ipv4/ip_forward)
                    echo tmpfs=$(stat -c %a:%u:%g /data) $(df -k /data | awk 'END { print $2 }')
                    echo x >/data/file; echo tmpfswrite=$?; echo new >/new; echo rootwrite=$?
                    awk '$2 == "/data" || $2 == "/ro" || $2 == "/rw" { n = split($4, o, ","); \
                        for (i = 1; i <= n; i++) print "option " $2 " " o[i] (o[i] ~ "=" ? "" : "=yes") }' /proc/mounts
                    echo listed=$(stat -c '%F %t:%T %a %u:%g' /dev/listed)
                    cat /secret 2>/dev/null | wc -c | sed s/^/secret=/; ls /hidden | wc -l | sed s/^/hidden=/
                    cat /fixed/file; touch /fixed/new 2>/dev/null; echo fixedwrite=$?
                    echo nested=$(cat /deep/er/file); echo args=$0,$1,$2
                    """
                let bundle = try host.bundle { config in
                    config.set("process.args", ["/bin/sh", "-c", .string(script), "zero", "one two", ""])
                    config.set("process.user", ["uid": 1000, "gid": 1001, "additionalGids": [5, 2000], "umask": 0o27])
                    config.set("process.cwd", "/work")
                    config.append("process.env", "GREETING=hello  world")
                    config.append("process.env", "EMPTY=")
                    let capabilities: JSONValue = ["CAP_NET_RAW", "CAP_SYS_TIME"]
                    for set in ["bounding", "permitted", "inheritable", "effective", "ambient"] {
                        config.set("process.capabilities." + set, capabilities)
                    }
                    config.set("process.noNewPrivileges", false)
                    config.set("process.oomScoreAdj", 250)
                    config.set(
                        "process.rlimits",
                        [
                            ["type": "RLIMIT_NOFILE", "soft": 100, "hard": 200],
                            ["type": "RLIMIT_CORE", "soft": 0, "hard": 0],
                        ])
                    config.set("root.readonly", false)
                    config.set("hostname", "custom-host")
                    config.set("domainname", "example.org")
                    config.set("linux.sysctl", .object(["kernel.shmmax": "1234567", "net.ipv4.ip_forward": "1"]))
                    config.append(
                        "mounts",
                        [
                            "destination": "/data", "type": "tmpfs", "source": "tmpfs",
                            "options": ["nosuid", "noexec", "size=2048k", "mode=1750", "uid=1000", "gid=5"],
                        ])
                    config.append(
                        "mounts",
                        [
                            "destination": "/deep/er", "type": "bind", "source": .string(host.directory + "/shared"),
                            "options": ["rbind", "ro"],
                        ])
                    config.append(
                        "linux.devices",
                        [
                            "path": "/dev/listed", "type": "c", "major": 1, "minor": 3, "fileMode": 0o640, "uid": 7,
                            "gid": 8,
                        ])
                    config.append("linux.maskedPaths", "/secret")
                    config.append("linux.maskedPaths", "/hidden")
                    config.append("linux.readonlyPaths", "/fixed")
                }
                for directory in ["work", "hidden", "fixed"] {
                    try File.makeDirectories(bundle.rootfs + "/" + directory, mode: 0o777)
                    try Files.write("\(bundle.rootfs)/\(directory)/file", "fixedread=yes\n")
                }
                try Files.write(bundle.rootfs + "/secret", "secret")
                try File.makeDirectories(host.directory + "/shared", mode: 0o755)
                try Files.write(host.directory + "/shared/file", "from the host")
                for path in ["", "/fixed", "/tmp"] { chmod(bundle.rootfs + path, 0o777) }
                let facts = Facts(try host.run(bundle))
                guard facts["args"] != nil else { throw Trouble("the container did not tell: \(facts.outcome.err)") }
                #expect(try Files.text(bundle.rootfs + "/new") == "new\n")
                var status = stat()
                #expect(stat(bundle.rootfs + "/new", &status) == 0)
                #expect(status.st_uid == 1000 && status.st_gid == 1001 && status.st_mode & 0o777 == 0o640)
                return facts
            }
        }

        @Test(arguments: [
            Expectation("id", "1000:1001"), Expectation("groups", "5 2000"), Expectation("umask", "0027"),
            Expectation("cwd", "/work"), Expectation("home", "/home/guest"), Expectation("greeting", "hello world"),
            Expectation("empty", "[]"), Expectation("CapEff", "0000000002002000"),
            Expectation("CapPrm", "0000000002002000"), Expectation("CapInh", "0000000002002000"),
            Expectation("CapBnd", "0000000002002000"), Expectation("CapAmb", "0000000002002000"),
            Expectation("NoNewPrivs", "0"), Expectation("nofile", "100:200"), Expectation("core", "0:0"),
            Expectation("hostname", "custom-host"), Expectation("domainname", "example.org"), Expectation("oom", "250"),
            Expectation("shmmax", "1234567"), Expectation("forward", "1"), Expectation("tmpfs", "1750:1000:5 2048"),
            Expectation("tmpfswrite", "0"), Expectation("rootwrite", "0"), Expectation("option /data noexec", "yes"),
            Expectation("option /data nosuid", "yes"), Expectation("option /data size", "2048k"),
            Expectation("listed", "character special file 1:3 640 7:8"), Expectation("secret", "0"),
            Expectation("hidden", "0"), Expectation("fixedread", "yes"), Expectation("fixedwrite", "1"),
            Expectation("nested", "from the host"), Expectation("args", "zero,one two,"),
        ])
        func customConfiguration(_ expected: Expectation) throws {
            let found = try Self.custom.get()[expected.fact]
            #expect(found == expected.value)
        }
    }
}
