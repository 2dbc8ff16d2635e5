import JSON

// The limits of cgroups that have to do with devices: blocks, huge pages, network, RDMA.
extension Linux.Resources {
    public struct BlockIO: SpecObject {
        /// 10 to 1000; nil: not said.
        public var weight: UInt16?
        public var leafWeight: UInt16?
        public var weightDevice: [WeightDevice]
        /// Bytes a second.
        public var throttleReadBpsDevice: [ThrottleDevice]
        public var throttleWriteBpsDevice: [ThrottleDevice]
        /// Operations a second.
        public var throttleReadIOPSDevice: [ThrottleDevice]
        public var throttleWriteIOPSDevice: [ThrottleDevice]

        /// Nothing is asked for; Docker has a weight of 0 then.
        public var saysNothing: Bool {
            (weight ?? 0) == 0 && (leafWeight ?? 0) == 0 && weightDevice.isEmpty && throttleReadBpsDevice.isEmpty
                && throttleWriteBpsDevice.isEmpty && throttleReadIOPSDevice.isEmpty && throttleWriteIOPSDevice.isEmpty
        }

        public init(decoding cursor: JSONCursor) throws(JSONFieldError) {
            let fields = try cursor.object()
            weight = try fields["weight"].optionalInt()
            leafWeight = try fields["leafWeight"].optionalInt()
            weightDevice = try fields["weightDevice"].list(of: WeightDevice.init(decoding:))
            throttleReadBpsDevice = try fields["throttleReadBpsDevice"].list(of: ThrottleDevice.init(decoding:))
            throttleWriteBpsDevice = try fields["throttleWriteBpsDevice"].list(of: ThrottleDevice.init(decoding:))
            throttleReadIOPSDevice = try fields["throttleReadIOPSDevice"].list(of: ThrottleDevice.init(decoding:))
            throttleWriteIOPSDevice = try fields["throttleWriteIOPSDevice"].list(of: ThrottleDevice.init(decoding:))
        }

        public var json: JSONValue {
            var members = Members()
            members.put("weight", ifPresent: weight)
            members.put("leafWeight", ifPresent: leafWeight)
            members.put("weightDevice", ifNotEmpty: weightDevice)
            members.put("throttleReadBpsDevice", ifNotEmpty: throttleReadBpsDevice)
            members.put("throttleWriteBpsDevice", ifNotEmpty: throttleWriteBpsDevice)
            members.put("throttleReadIOPSDevice", ifNotEmpty: throttleReadIOPSDevice)
            members.put("throttleWriteIOPSDevice", ifNotEmpty: throttleWriteIOPSDevice)
            return members.json
        }
    }

    public struct WeightDevice: SpecObject {
        public var major: Int64
        public var minor: Int64
        public var weight: UInt16?
        public var leafWeight: UInt16?

        public init(decoding cursor: JSONCursor) throws(JSONFieldError) {
            let fields = try cursor.object()
            major = try fields["major"].int()
            minor = try fields["minor"].int()
            weight = try fields["weight"].optionalInt()
            leafWeight = try fields["leafWeight"].optionalInt()
        }

        public var json: JSONValue {
            var members = Members()
            members.put("major", major)
            members.put("minor", minor)
            members.put("weight", ifPresent: weight)
            members.put("leafWeight", ifPresent: leafWeight)
            return members.json
        }
    }

    public struct ThrottleDevice: SpecObject {
        public var major: Int64
        public var minor: Int64
        public var rate: UInt64

        public init(decoding cursor: JSONCursor) throws(JSONFieldError) {
            let fields = try cursor.object()
            major = try fields["major"].int()
            minor = try fields["minor"].int()
            rate = try fields["rate"].int(or: 0)
        }

        public var json: JSONValue {
            var members = Members()
            members.put("major", major)
            members.put("minor", minor)
            members.put("rate", rate)
            return members.json
        }
    }

    public struct HugepageLimit: SpecObject {
        /// "2MB"
        public var pageSize: String
        /// Bytes.
        public var limit: UInt64

        public init(decoding cursor: JSONCursor) throws(JSONFieldError) {
            let fields = try cursor.object()
            pageSize = try fields["pageSize"].string()
            limit = try fields["limit"].int()
        }

        public var json: JSONValue {
            var members = Members()
            members.put("pageSize", pageSize)
            members.put("limit", limit)
            return members.json
        }
    }

    public struct Network: SpecObject {
        public var classID: UInt32?
        public var priorities: [InterfacePriority]

        public init(decoding cursor: JSONCursor) throws(JSONFieldError) {
            let fields = try cursor.object()
            classID = try fields["classID"].optionalInt()
            priorities = try fields["priorities"].list(of: InterfacePriority.init(decoding:))
        }

        public var json: JSONValue {
            var members = Members()
            members.put("classID", ifPresent: classID)
            members.put("priorities", ifNotEmpty: priorities)
            return members.json
        }
    }

    public struct InterfacePriority: SpecObject {
        public var name: String
        public var priority: UInt32

        public init(decoding cursor: JSONCursor) throws(JSONFieldError) {
            let fields = try cursor.object()
            name = try fields["name"].string()
            priority = try fields["priority"].int()
        }

        public var json: JSONValue {
            var members = Members()
            members.put("name", name)
            members.put("priority", priority)
            return members.json
        }
    }

    public struct Rdma: SpecObject {
        public var hcaHandles: UInt32?
        public var hcaObjects: UInt32?

        public init(decoding cursor: JSONCursor) throws(JSONFieldError) {
            let fields = try cursor.object()
            hcaHandles = try fields["hcaHandles"].optionalInt()
            hcaObjects = try fields["hcaObjects"].optionalInt()
        }

        public var json: JSONValue {
            var members = Members()
            members.put("hcaHandles", ifPresent: hcaHandles)
            members.put("hcaObjects", ifPresent: hcaObjects)
            return members.json
        }
    }
}
