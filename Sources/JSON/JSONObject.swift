/// The members of a JSON object, in the order of the text.
///
/// A key occurs once: the last of duplicates wins, as in Go's encoding/json, at the place of the first.
/// Keys are compared byte by byte. (Swift's `==` on strings takes the Kelvin sign for a K.)
public struct JSONObject: Sendable {
    /// A key and its value.
    public struct Member: Equatable, Sendable {
        public let key: String
        public var value: JSONValue

        public init(key: String, value: JSONValue) {
            self.key = key
            self.value = value
        }
    }

    /// The members in order.
    public private(set) var members: [Member] = []

    /// The place of each key, once there are so many members that a search would cost more.
    private var places: [ByteKey: Int]?

    private static let searchLimit = 16

    public init() {}

    /// The pairs in order; of duplicates the last wins.
    public init(_ pairs: some Sequence<(String, JSONValue)>) {
        for (key, value) in pairs {
            self[key] = value
        }
    }

    /// The pairs sorted by the bytes of their keys, for maps, which have no order of their own.
    public init(sorted pairs: [(String, JSONValue)]) {
        self.init(pairs.sorted { $0.0.utf8.lexicographicallyPrecedes($1.0.utf8) })
    }

    public var isEmpty: Bool { members.isEmpty }
    public var count: Int { members.count }

    /// The value of `key`. Setting keeps the place of a key that is there, else appends; setting nil removes.
    public subscript(key: String) -> JSONValue? {
        get {
            place(of: key).map { members[$0].value }
        }
        set {
            switch (place(of: key), newValue) {
            case (let place?, let value?):
                members[place].value = value
            case (let place?, nil):
                members.remove(at: place)
                places = nil
                indexIfLarge()
            case (nil, let value?):
                members.append(Member(key: key, value: value))
                if places != nil {
                    places?[ByteKey(text: key)] = members.count - 1
                } else {
                    indexIfLarge()
                }
            case (nil, nil):
                break
            }
        }
    }

    private func place(of key: String) -> Int? {
        if let places {
            return places[ByteKey(text: key)]
        }
        return members.firstIndex { $0.key.sameBytes(as: key) }
    }

    private mutating func indexIfLarge() {
        guard members.count > Self.searchLimit else { return }
        var places: [ByteKey: Int] = [:]
        places.reserveCapacity(members.count * 2)
        for (place, member) in members.enumerated() {
            places[ByteKey(text: member.key)] = place
        }
        self.places = places
    }
}

extension JSONObject: Equatable {
    /// The same members in the same order.
    public static func == (left: JSONObject, right: JSONObject) -> Bool {
        left.members == right.members
    }
}

extension JSONObject: Sequence {
    public func makeIterator() -> IndexingIterator<[Member]> {
        members.makeIterator()
    }
}

extension JSONObject: ExpressibleByDictionaryLiteral {
    public init(dictionaryLiteral elements: (String, JSONValue)...) {
        self.init(elements)
    }
}

/// A key that equals only a key of the same bytes.
private struct ByteKey: Hashable, Sendable {
    let text: String

    static func == (left: ByteKey, right: ByteKey) -> Bool {
        left.text.sameBytes(as: right.text)
    }

    // The standard hash is that of the normalised text: the same for the same bytes, which is all it takes.
    func hash(into hasher: inout Hasher) {
        hasher.combine(text)
    }
}

extension String {
    /// Equal byte by byte. `==` comes first, because it is quick to say no.
    fileprivate func sameBytes(as other: String) -> Bool {
        self == other && utf8.elementsEqual(other.utf8)
    }
}
