import JSON

/// What a container is at the moment (runtime.md, "State"): the answer to `state`, and what hooks read.
public struct State: SpecObject {
    public enum Status: String, CaseIterable, Sendable {
        case creating, created, running, stopped
        /// Not of the specification, which lets runtimes add their own; runc's word for a frozen container.
        case paused
    }

    public var ociVersion: String
    public var id: String
    public var status: Status
    /// Of the container's process, as the host sees it; 0 if there is none.
    public var pid: Int
    /// Absolute.
    public var bundle: String
    public var annotations: [String: String]

    public init(
        ociVersion: String = SpecVersion.current, id: String, status: Status, pid: Int = 0, bundle: String,
        annotations: [String: String] = [:]
    ) {
        self.ociVersion = ociVersion
        self.id = id
        self.status = status
        self.pid = pid
        self.bundle = bundle
        self.annotations = annotations
    }

    public init(decoding cursor: JSONCursor) throws(JSONFieldError) {
        let fields = try cursor.object()
        ociVersion = try fields["ociVersion"].string()
        id = try fields["id"].string()
        status = try fields["status"].name("status")
        pid = try fields["pid"].int(or: 0)
        bundle = try fields["bundle"].string()
        annotations = try fields["annotations"].stringMap()
    }

    public var json: JSONValue {
        var members = Members()
        members.put("ociVersion", ociVersion)
        members.put("id", id)
        members.put("status", status.rawValue)
        members.put("pid", ifNotZero: pid)
        members.put("bundle", bundle)
        members.put("annotations", ifNotEmpty: annotations)
        return members.json
    }
}
