import JSON
import OCISpec
import Testing

@Suite("OCI spec: decoding and encoding")
struct DecodingTests {
    @Test("a configuration as podman writes it")
    func podman() throws {
        let spec = try Fixture.spec()
        try spec.validate()
        let process = try #require(spec.process)
        #expect(process.terminal && process.noNewPrivileges)
        #expect(process.consoleSize == Process.ConsoleSize(height: 24, width: 80))
        #expect(process.user.uid == 1000 && process.user.umask == 0o22 && process.user.additionalGids == [10, 20])
        #expect(process.args == ["/bin/sh", "-c", "echo é"])
        #expect(process.rlimits.map(\.resource) == [7, 6])
        #expect(process.rlimits[1].hard == .max)
        #expect(process.oomScoreAdj == -500)
        #expect(spec.mounts.map(\.isBind) == [false, false, false, false, true])
        #expect(spec.annotations["io.container.manager"] == "libpod")
        let linux = try #require(spec.linux)
        #expect(linux.resources?.memory?.limit == 268_435_456)
        #expect(linux.resources?.cpu?.cpus == "0-1")
        #expect(linux.resources?.pids?.limit == 2048)
        #expect(linux.resources?.devices.count == 2)
        #expect(linux.devices[0].permissions == 0o666)
        #expect(linux.devices[1].type == .fifo)
        #expect(linux.namespaceKinds == [.pid, .network, .ipc, .uts, .mount, .cgroup])
        #expect(linux.seccomp?.isEnabled == false)
    }

    @Test("what is decoded, encoded and decoded is the same", arguments: [Fixture.podman, Fixture.everything])
    func roundTrip(text: String) throws {
        let spec = try Fixture.spec(text)
        #expect(try Spec(json: spec.json) == spec)
        #expect(try Spec.parse(spec.json.bytes(.pretty)) == spec)
    }

    @Test("nothing that the specification knows gets lost")
    func complete() throws {
        let value = try JSONValue.parse(Fixture.everything)
        #expect(sorted(try Fixture.spec(Fixture.everything).json) == sorted(value))
    }

    @Test(
        "errors name the field",
        arguments: [
            (#"{}"#, "ociVersion: is missing"),
            (#"[]"#, "expected an object, found an array"),
            (#"null"#, "is missing"),
            (#"{"ociVersion":1}"#, "ociVersion: expected a string, found a number"),
            (#"{"ociVersion":"1.0.0","process":{}}"#, "process.cwd: is missing"),
            (#"{"ociVersion":"1.0.0","process":{"cwd":null}}"#, "process.cwd: is missing"),
            (
                #"{"ociVersion":"1.0.0","process":{"cwd":"/","args":["a",1]}}"#,
                "process.args[1]: expected a string, found a number"
            ),
            (
                #"{"ociVersion":"1.0.0","process":{"cwd":"/","args":["a",null]}}"#,
                "process.args[1]: expected a string, found null"
            ),
            (
                #"{"ociVersion":"1.0.0","process":{"cwd":"/","user":{"uid":-1}}}"#,
                "process.user.uid: -1 is out of range (0 to 4294967295)"
            ),
            (
                #"{"ociVersion":"1.0.0","process":{"cwd":"/","rlimits":[{"type":"RLIMIT_AS","hard":1}]}}"#,
                "process.rlimits[0].soft: is missing"
            ),
            (#"{"ociVersion":"1.0.0","root":{}}"#, "root.path: is missing"),
            (#"{"ociVersion":"1.0.0","mounts":{}}"#, "mounts: expected an array, found an object"),
            (#"{"ociVersion":"1.0.0","mounts":[{}]}"#, "mounts[0].destination: is missing"),
            (#"{"ociVersion":"1.0.0","hooks":{"poststop":[{"args":[]}]}}"#, "hooks.poststop[0].path: is missing"),
            (
                #"{"ociVersion":"1.0.0","linux":{"namespaces":[{"type":"pid"},{"type":"p\u001bd"}]}}"#,
                #"linux.namespaces[1].type: unknown namespace "p\u001bd""#
            ),
            (
                #"{"ociVersion":"1.0.0","linux":{"devices":[{"path":"/dev/x","type":"c","major":1}]}}"#,
                "linux.devices[0].minor: is missing"
            ),
            (
                #"{"ociVersion":"1.0.0","linux":{"resources":{"memory":{"limit":1e9}}}}"#,
                "linux.resources.memory.limit: expected an integer, found 1000000000.0"
            ),
            (
                #"{"ociVersion":"1.0.0","linux":{"resources":{"pids":{"limit":18446744073709551615}}}}"#,
                "linux.resources.pids.limit: 18446744073709551615 is out of range "
                    + "(-9223372036854775808 to 9223372036854775807)"
            ),
            (
                #"{"ociVersion":"1.0.0","linux":{"sysctl":{"net.a":1}}}"#,
                #"linux.sysctl["net.a"]: expected a string, found a number"#
            ),
            (#"{"ociVersion":"1.0.0","vm":{}}"#, "vm.kernel: is missing"),
            (
                #"{"ociVersion""#,
                "is not JSON: line 1, column 14: unexpected end of file after a key, where ':' must follow"
            ),
        ] as [(String, String)])
    func errors(text: String, error: String) {
        #expect(failure { _ = try Fixture.spec(text) } == error)
    }

    @Test("parts have paths of their own: an exec's process, what update is given")
    func parts() throws {
        let process = try Process(json: ["cwd": "/", "args": ["sh"], "user": ["uid": 1]], path: "process")
        #expect(process.user.uid == 1)
        #expect(failure { _ = try Process(json: ["args": []], path: "process") } == "process.cwd: is missing")
        #expect(failure { _ = try Process.parse([0x7B], path: "process") }?.hasPrefix("process: is not JSON") == true)
        let update: JSONValue = ["memory": ["limit": 1], "pids": ["limit": 5]]
        #expect(try Linux.Resources(json: update).json == update)
    }

    @Test("hwConfig as the schema spells it, and as Go does")
    func hardware() throws {
        for key in ["hwConfig", "hwconfig"] {
            var value: JSONObject = ["kernel": ["path": "/k"]]
            value[key] = ["vcpus": 3]
            let vm = try VM(json: .object(value))
            #expect(vm.hwConfig?.vcpus == 3)
        }
    }

    @Test("state")
    func state() throws {
        let state = State(id: "a", status: .running, pid: 42, bundle: "/b", annotations: ["x": "y"])
        #expect(
            state.json.text()
                == #"{"ociVersion":"1.3.0","id":"a","status":"running","pid":42,"#
                + #""bundle":"/b","annotations":{"x":"y"}}"#)
        #expect(try State(json: state.json) == state)
        #expect(State(id: "a", status: .stopped, bundle: "/b").json["pid"] == nil)
        var value = state.json
        if case .object(var object) = value {
            object["status"] = "dancing"
            value = .object(object)
        }
        #expect(failure { _ = try State(json: value) } == #"status: unknown status "dancing""#)
    }

    /// With the members of every object in one order.
    private func sorted(_ value: JSONValue) -> JSONValue {
        switch value {
        case .array(let elements): .array(elements.map(sorted))
        case .object(let object): .object(JSONObject(sorted: object.members.map { ($0.key, sorted($0.value)) }))
        default: value
        }
    }
}
