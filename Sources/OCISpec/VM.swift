import JSON

/// The virtual machine that the container is to run in (config-vm.md). Paths are of the host.
public struct VM: SpecObject {
    public var hypervisor: Hypervisor?
    public var kernel: Kernel
    public var image: Image?
    public var hwConfig: HWConfig?

    public init(decoding cursor: JSONCursor) throws(JSONFieldError) {
        let fields = try cursor.object()
        hypervisor = try fields.optional("hypervisor", Hypervisor.init(decoding:))
        kernel = try Kernel(decoding: fields["kernel"])
        image = try fields.optional("image", Image.init(decoding:))
        // config-vm.md and the schema say hwConfig, the Go types hwconfig.
        let hardware = fields["hwConfig"].isAbsent ? "hwconfig" : "hwConfig"
        hwConfig = try fields.optional(hardware, HWConfig.init(decoding:))
    }

    public var json: JSONValue {
        var members = Members()
        members.put("hypervisor", ifPresent: hypervisor)
        members.put("kernel", kernel.json)
        members.put("image", ifPresent: image)
        members.put("hwConfig", ifPresent: hwConfig)
        return members.json
    }
}

extension VM {
    public struct Hypervisor: SpecObject {
        public var path: String
        public var parameters: [String]

        public init(decoding cursor: JSONCursor) throws(JSONFieldError) {
            let fields = try cursor.object()
            path = try fields["path"].string()
            parameters = try fields["parameters"].strings()
        }

        public var json: JSONValue {
            var members = Members()
            members.put("path", path)
            members.put("parameters", ifNotEmpty: parameters)
            return members.json
        }
    }

    public struct Kernel: SpecObject {
        public var path: String
        public var parameters: [String]
        /// Empty: none.
        public var initrd: String

        public init(decoding cursor: JSONCursor) throws(JSONFieldError) {
            let fields = try cursor.object()
            path = try fields["path"].string()
            parameters = try fields["parameters"].strings()
            initrd = try fields["initrd"].string(or: "")
        }

        public var json: JSONValue {
            var members = Members()
            members.put("path", path)
            members.put("parameters", ifNotEmpty: parameters)
            members.put("initrd", ifNotEmpty: initrd)
            return members.json
        }
    }

    public struct Image: SpecObject {
        public var path: String
        /// "raw", "qcow2", …; what is not said is raw.
        public var format: String

        public init(decoding cursor: JSONCursor) throws(JSONFieldError) {
            let fields = try cursor.object()
            path = try fields["path"].string()
            let named = try fields["format"].string(or: "")
            format = named.isEmpty ? "raw" : named
        }

        public var json: JSONValue {
            var members = Members()
            members.put("path", path)
            members.put("format", format)
            return members.json
        }
    }

    public struct HWConfig: SpecObject {
        public var deviceTree: String
        public var vcpus: UInt32?
        /// Bytes.
        public var memory: UInt64?
        public var dtdevs: [String]
        public var iomems: [IOMem]
        public var irqs: [UInt32]

        public init(decoding cursor: JSONCursor) throws(JSONFieldError) {
            let fields = try cursor.object()
            deviceTree = try fields["deviceTree"].string(or: "")
            vcpus = try fields["vcpus"].optionalInt()
            memory = try fields["memory"].optionalInt()
            dtdevs = try fields["dtdevs"].strings()
            iomems = try fields["iomems"].list(of: IOMem.init(decoding:))
            irqs = try fields["irqs"].ints()
        }

        public var json: JSONValue {
            var members = Members()
            members.put("deviceTree", ifNotEmpty: deviceTree)
            members.put("vcpus", ifPresent: vcpus)
            members.put("memory", ifPresent: memory)
            members.put("dtdevs", ifNotEmpty: dtdevs)
            members.put("iomems", ifNotEmpty: iomems)
            members.put("irqs", ifNotEmpty: irqs)
            return members.json
        }
    }

    /// Pages of the host's input and output memory.
    public struct IOMem: SpecObject {
        public var firstGFN: UInt64?
        public var firstMFN: UInt64
        public var nrMFNs: UInt64

        public init(decoding cursor: JSONCursor) throws(JSONFieldError) {
            let fields = try cursor.object()
            firstGFN = try fields["firstGFN"].optionalInt()
            firstMFN = try fields["firstMFN"].int()
            nrMFNs = try fields["nrMFNs"].int()
        }

        public var json: JSONValue {
            var members = Members()
            members.put("firstGFN", ifPresent: firstGFN)
            members.put("firstMFN", firstMFN)
            members.put("nrMFNs", nrMFNs)
            return members.json
        }
    }
}
