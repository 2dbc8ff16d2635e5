import JSON

extension Linux {
    /// A filter of system calls (config-linux.md, "Seccomp").
    public struct Seccomp: SpecObject {
        /// "SCMP_ACT_ERRNO"; empty together with no system calls: no filter, as with runc.
        public var defaultAction: String
        public var defaultErrnoRet: UInt?
        public var architectures: [String]
        /// nil and empty differ: nil lets the runtime choose.
        public var flags: [String]?
        public var listenerPath: String
        public var listenerMetadata: String
        public var syscalls: [Syscall]

        public init(decoding cursor: JSONCursor) throws(JSONFieldError) {
            let fields = try cursor.object()
            defaultAction = try fields["defaultAction"].string(or: "")
            defaultErrnoRet = try fields["defaultErrnoRet"].optionalInt()
            architectures = try fields["architectures"].strings()
            flags = fields["flags"].isAbsent ? nil : try fields["flags"].strings()
            listenerPath = try fields["listenerPath"].string(or: "")
            listenerMetadata = try fields["listenerMetadata"].string(or: "")
            syscalls = try fields["syscalls"].list(of: Syscall.init(decoding:))
        }

        public var json: JSONValue {
            var members = Members()
            members.put("defaultAction", defaultAction)
            members.put("defaultErrnoRet", ifPresent: defaultErrnoRet)
            members.put("architectures", ifNotEmpty: architectures)
            members.put("flags", flags.map { JSONValue($0) })
            members.put("listenerPath", ifNotEmpty: listenerPath)
            members.put("listenerMetadata", ifNotEmpty: listenerMetadata)
            members.put("syscalls", ifNotEmpty: syscalls)
            return members.json
        }

        /// Whether this asks for a filter at all.
        public var isEnabled: Bool { !defaultAction.isEmpty || !syscalls.isEmpty }
    }

    /// What to do about some system calls.
    public struct Syscall: SpecObject {
        public var names: [String]
        /// "SCMP_ACT_ALLOW"
        public var action: String
        public var errnoRet: UInt?
        public var args: [SyscallArgument]

        public init(decoding cursor: JSONCursor) throws(JSONFieldError) {
            let fields = try cursor.object()
            guard !fields["names"].isAbsent else { throw fields["names"].error("is missing") }
            names = try fields["names"].strings()
            action = try fields["action"].string()
            errnoRet = try fields["errnoRet"].optionalInt()
            args = try fields["args"].list(of: SyscallArgument.init(decoding:))
        }

        public var json: JSONValue {
            var members = Members()
            members.put("names", JSONValue(names))
            members.put("action", action)
            members.put("errnoRet", ifPresent: errnoRet)
            members.put("args", ifNotEmpty: args)
            return members.json
        }
    }

    /// A condition on an argument of a system call.
    public struct SyscallArgument: SpecObject {
        /// Which argument: 0 to 5.
        public var index: UInt
        public var value: UInt64
        /// With SCMP_CMP_MASKED_EQ the value, `value` being the mask.
        public var valueTwo: UInt64
        /// "SCMP_CMP_EQ"
        public var op: String

        public init(decoding cursor: JSONCursor) throws(JSONFieldError) {
            let fields = try cursor.object()
            index = try fields["index"].int()
            value = try fields["value"].int()
            valueTwo = try fields["valueTwo"].int(or: 0)
            op = try fields["op"].string()
        }

        public var json: JSONValue {
            var members = Members()
            members.put("index", index)
            members.put("value", value)
            members.put("valueTwo", ifNotZero: valueTwo)
            members.put("op", op)
            return members.json
        }
    }
}
