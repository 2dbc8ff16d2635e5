import Glibc
import JSON
import LinuxSys
import Testing

extension EndToEnd {
    /// What mounts bring of the host besides plain directories: sockets, overlays, mapped ids.
    @Suite(.enabled(if: !FileBackend.isVirtiofsd, FileBackend.reason)) struct SharedTrees {
        /// A server on a Unix socket, in Python: answers each line in capitals, and says how it ended.
        private static let server = """
            import os, socket, sys, threading
            s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM if sys.argv[2] == 'stream' else socket.SOCK_DGRAM)
            s.bind(sys.argv[1]); os.chmod(sys.argv[1], 0o666)
            print('listening', flush=True)
            if sys.argv[2] != 'stream': s.recv(1)
            s.listen(64)
            def serve(c):
                with c:
                    data = b''
                    while True:
                        part = c.recv(65536)
                        if not part: break
                        data += part
                    c.sendall(data.upper())
            while True: threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
            """

        private func withServer(_ host: Host, _ kind: String = "stream", _ body: (String) throws -> Void) throws {
            let path = host.directory + "/s.sock"
            let server = try Running("/usr/bin/env", ["python3", "-c", Self.server, path, kind])
            defer { server.kill() }
            try server.wait(forOutput: "listening")
            try body(path)
        }

        /// With a program that talks to Unix sockets, which busybox has not.
        private func bundle(
            _ host: Host, _ script: String, _ edit: (inout JSONValue) -> Void
        ) throws -> Bundle {
            let bundle = try host.bundle(script, edit)
            try bundle.install("unix-client")
            return bundle
        }

        private func socket(_ config: inout JSONValue, _ path: String, at place: String = "/run/s.sock") {
            config.append(
                "mounts", ["destination": .string(place), "source": .string(path), "options": ["bind"]])
        }

        @Test func socketOfTheHost() throws {
            try Host.use { host in
                try withServer(host) { path in
                    let script = """
                        stat -c '%F %a' /run/s.sock; echo hello | unix-client /run/s.sock
                        head -c 3000000 /dev/zero | tr '\\0' a | unix-client /run/s.sock | tr -d A | wc -c
                        for i in $(seq 20); do echo $i | unix-client /run/s.sock > /tmp/$i & done; wait; cat /tmp/* | sort -n | tail -n 1
                        """
                    let outcome = try host.run(
                        try bundle(host, script) {
                            socket(&$0, path)
                            $0.append("mounts", ["destination": "/tmp", "type": "tmpfs", "source": "tmpfs"])
                        })
                    #expect(outcome.lines == ["socket 666", "HELLO", "0", "20"], "\(outcome)")
                }
            }
        }

        /// A server that has gone is seen as a connection that ends.
        @Test func nobodyListens() throws {
            try Host.use { host in
                try withServer(host) { path in
                    let run = try host.starting(
                        try bundle(host, "echo up; read -r go; unix-client /run/s.sock </dev/null; echo ended") {
                            socket(&$0, path)
                        }, stdin: .pipe)
                    try run.wait(forOutput: "up")
                    unlink(path)
                    run.write("go\n")
                    #expect(try run.finish().lines == ["up", "ended"])
                }
            }
        }

        @Test func onlyStreams() throws {
            try Host.use { host in
                try withServer(host, "datagram") { path in
                    let outcome = try host.run("true") { socket(&$0, path) }
                    #expect(outcome.code == 1 && outcome.complaints.count == 1)
                    #expect(outcome.err.contains("is a datagram socket; only stream sockets reach into a guest"))
                }
            }
        }

        /// In a pod each container has its own.
        @Test func socketInAPod() throws {
            try Host.use { host in
                try withServer(host) { path in
                    let first = host.id + "-first"
                    let run = try host.starting(try host.bundle("echo ready; sleep 1000"), ["--detach"], id: first)
                    try run.wait(forOutput: "ready")
                    let pid = try #require(try host.state(first)?["pid"]?.integer)
                    let outcome = try host.run(
                        try bundle(host, "echo hello | unix-client /run/s.sock") {
                            $0.set(
                                "linux.namespaces",
                                [
                                    ["type": "mount"], ["type": "pid"],
                                    ["type": "network", "path": .string("/proc/\(pid)/ns/net")],
                                ])
                            $0.set("hostname", nil)
                            socket(&$0, path)
                        })
                    #expect(outcome.out == "HELLO\n", "\(outcome)")
                    #expect(try host.command("delete", "--force", first).code == 0)
                }
            }
        }

        @Test func overlay() throws {
            try Host.use { host in
                for name in ["a", "b", "up", "work"] {
                    try File.makeDirectories("\(host.directory)/o/\(name)", mode: 0o755)
                }
                try Files.write(host.directory + "/o/a/one", "of a\n")
                try Files.write(host.directory + "/o/b/one", "of b\n")
                try Files.write(host.directory + "/o/b/two", "of b\n")
                let here = host.directory + "/o"
                let bundle = try host.bundle("cat /o/one /o/two; echo new > /o/three; rm /o/one; ls /o; touch /ro/x") {
                    $0.append(
                        "mounts",
                        [
                            "destination": "/o", "type": "overlay", "source": "overlay",
                            "options": [
                                .string("lowerdir=\(here)/a:\(here)/b"), .string("upperdir=\(here)/up"),
                                .string("workdir=\(here)/work"),
                            ],
                        ])
                    $0.append(
                        "mounts",
                        [
                            "destination": "/ro", "type": "overlay", "source": "overlay",
                            "options": ["ro", .string("lowerdir=\(here)/a:\(here)/b")],
                        ])
                }
                let outcome = try host.run(bundle)
                #expect(outcome.lines == ["of a", "of b", "three", "two"], "\(outcome)")
                #expect(outcome.err.contains("/ro/x: Read-only file system"))
                #expect(try Files.text(here + "/up/three") == "new\n" && Files.text(here + "/a/one") == "of a\n")
                let missing = try host.run("true") {
                    $0.append(
                        "mounts",
                        ["destination": "/o", "type": "overlay", "source": "overlay", "options": ["lowerdir=/no/such"]])
                }
                #expect(missing.code == 1 && missing.err.contains("the overlay of lowerdir=/no/such"), "\(missing)")
            }
        }

        @Test func mappedIDs() throws {
            try Host.use { host in
                let folder = host.directory + "/v"
                try File.makeDirectories(folder + "/own", mode: 0o777)
                chmod(folder, 0o777)
                try Files.write(folder + "/of-root", "x")
                try Files.write(folder + "/of-1000", "x")
                chown(folder + "/of-1000", 1000, 1000)
                let bundle = try host.bundle("stat -c '%n %u %g' /v/of-*; touch /v/new; stat -c '%n %u' /v/new") {
                    $0.set("process.user", ["uid": 5000, "gid": 5000])
                    $0.append(
                        "mounts",
                        [
                            "destination": "/v", "source": .string(folder), "options": ["bind", "idmap"],
                            "uidMappings": [
                                ["containerID": 0, "hostID": 5000, "size": 10],
                                ["containerID": 1000, "hostID": 1, "size": 1],
                            ],
                            "gidMappings": [
                                ["containerID": 0, "hostID": 5000, "size": 10],
                                ["containerID": 1000, "hostID": 1, "size": 1],
                            ],
                        ])
                }
                let outcome = try host.run(bundle)
                #expect(outcome.lines == ["/v/of-1000 1 1", "/v/of-root 5000 5000", "/v/new 5000"], "\(outcome)")
                #expect(File.status(folder + "/new")?.uid == 0)
                let without = try host.run("true") {
                    $0.append(
                        "mounts", ["destination": "/v", "source": .string(folder), "options": ["bind", "idmap"]])
                }
                #expect(without.code == 1 && without.err.contains("idmap needs uidMappings"), "\(without)")
            }
        }
    }
}
