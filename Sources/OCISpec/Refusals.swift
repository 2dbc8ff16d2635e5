import JSON

/// A field that is valid and says something, but that kvm-runtime doesn't do. To run the container without it would
/// be to run another container than the one that was asked for.
public struct Refusal: Equatable, Sendable, CustomStringConvertible {
    /// The field: `mounts[3].options[2]`.
    public let path: String
    /// "is not supported", or "idmap is not supported" if only this value isn't.
    public let reason: String

    /// One line for a person.
    public var description: String {
        reason == Self.plain ? "\(path) \(reason)" : "\(path): \(reason)"
    }

    fileprivate static let plain = "is not supported"

    fileprivate init(_ path: JSONPath) {
        self.init(path.description)
    }

    fileprivate init(_ path: String) {
        self.path = path
        self.reason = Self.plain
    }

    fileprivate init(_ path: String, reason: String) {
        self.path = path
        self.reason = reason
    }

    fileprivate init(_ path: String, value: String) {
        let isPlain = !value.isEmpty && value.utf8.allSatisfy { 0x20 < $0 && $0 < 0x7F && $0 != UInt8(ascii: "\"") }
        self.path = path
        self.reason = "\(isPlain && value.utf8.count <= 80 ? value : JSONText.quoted(value)) \(Self.plain)"
    }
}

extension Spec {
    /// Everything in here that kvm-runtime doesn't do; empty if it can run this. The table is in Support.swift.
    public func refusals() -> [Refusal] {
        var walk = SupportWalk()
        walk.inspect(json, pattern: "", at: .root(""))
        for (index, mount) in mounts.enumerated() {
            walk.refusals += mount.refusals(path: "mounts[\(index)]")
        }
        return walk.refusals
    }
}

extension Process {
    /// The same for the process of an exec.
    public func refusals(path: String = "process") -> [Refusal] {
        var walk = SupportWalk()
        walk.inspect(json, pattern: "process", at: .root(path))
        return walk.refusals
    }
}

extension Linux.Resources {
    /// The same for what `update` is given.
    public func refusals(path: String = "linux.resources") -> [Refusal] {
        var walk = SupportWalk()
        walk.inspect(json, pattern: "linux.resources", at: .root(path))
        return walk.refusals
    }
}

extension Mount {
    func refusals(path: String) -> [Refusal] {
        var refusals: [Refusal] = []
        if !isBind, !Support.mountTypes.contains(type) {
            refusals.append(Refusal("\(path).type", value: type))
        }
        for (index, option) in options.enumerated() {
            if isRefused(option) {
                refusals.append(Refusal("\(path).options[\(index)]", value: option))
            }
        }
        if !Support.mountMappings || !isBind && !isOverlay {
            if !uidMappings.isEmpty { refusals.append(Refusal("\(path).uidMappings")) }
            if !gidMappings.isEmpty { refusals.append(Refusal("\(path).gidMappings")) }
        }
        return refusals
    }

    private func isRefused(_ option: String) -> Bool {
        switch MountWord.named(option) {
        // The file system of a bind mount is mounted already; the kernel would drop its options in silence.
        case nil: isBind && !option.isEmpty
        case .extension(.copyUp)?: isBind || type != "tmpfs"
        // What the guest mounts by itself has its own ids.
        case .extension?: !isBind && !isOverlay || Support.isRefused(.extension(.idMap))
        case let word?: Support.isRefused(word)
        }
    }
}

/// Goes through a configuration with the table in hand.
private struct SupportWalk {
    var refusals: [Refusal] = []

    mutating func inspect(_ value: JSONValue, pattern: String, at path: JSONPath) {
        switch pattern.isEmpty ? .section : Support.table[pattern] ?? .refused {
        case .done:
            break
        case .section:
            inspectParts(of: value, pattern: pattern, at: path)
        case .refused:
            if Support.isMeaningful(value) { refusals.append(Refusal(path)) }
        case .refusedIf(let test):
            if test(value) { refusals.append(Refusal(path)) }
        case .refusedFor(let reason):
            if let reason = reason(value) { refusals.append(Refusal(path.description, reason: reason)) }
        case .oneOf(let names):
            guard let name = value.string, names.contains(name) else {
                refusals.append(Refusal(path.description, value: value.string ?? value.kind))
                return
            }
        }
    }

    private mutating func inspectParts(of value: JSONValue, pattern: String, at path: JSONPath) {
        switch value {
        case .array(let elements):
            for (index, element) in elements.enumerated() {
                inspect(element, pattern: pattern + "[]", at: .index(path, index))
            }
        case .object(let object):
            for member in object {
                let below = pattern.isEmpty ? member.key : "\(pattern).\(member.key)"
                inspect(member.value, pattern: below, at: .key(path, member.key))
            }
        default:
            break
        }
    }
}
