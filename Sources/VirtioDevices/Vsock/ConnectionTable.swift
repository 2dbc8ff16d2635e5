import LinuxSys

/// All connections, by token and by name; their number and the memory they can take are bounded.
struct ConnectionTable {
    static let mostConnections = 1024
    /// Windows: what the guest may send ahead of a slow reader. 64 wide ones and 960 narrow ones are 31 MiB at worst.
    static let wideWindow: UInt32 = 256 << 10
    static let narrowWindow: UInt32 = 16 << 10
    static let mostWide = 64

    private var byToken: [UInt64: Connection] = [:]
    private var byKey: [ConnectionKey: Connection] = [:]
    private var wide = 0
    private var nextToken: UInt64 = 1
    private(set) var nextPort: UInt32 = ConnectionTable.firstPort

    /// Ports for connections from the host: above those that anybody listens on.
    private static let firstPort: UInt32 = 1 << 30
    private static let portMask: UInt32 = (1 << 30) - 1

    var count: Int { byToken.count }
    var isFull: Bool { byToken.count >= Self.mostConnections }
    var all: [Connection] { Array(byToken.values) }

    subscript(token: UInt64) -> Connection? { byToken[token] }
    subscript(key: ConnectionKey) -> Connection? { byKey[key] }

    /// Makes a connection of `socket`. Ask `isFull` before.
    mutating func add(_ socket: consuming FileDescriptor, stage: Connection.Stage) -> Connection {
        let isWide = wide < Self.mostWide
        if isWide { wide += 1 }
        let connection = Connection(
            token: nextToken, socket: socket, window: isWide ? Self.wideWindow : Self.narrowWindow, isWide: isWide,
            stage: stage)
        nextToken += 1
        byToken[connection.token] = connection
        return connection
    }

    /// Gives the connection its name; nobody else has it.
    mutating func name(_ connection: Connection, _ key: ConnectionKey) {
        connection.key = key
        byKey[key] = connection
    }

    /// Takes the name away: the guest knows the connection no more.
    mutating func unname(_ connection: Connection) {
        guard let key = connection.key else { return }
        connection.key = nil
        byKey[key] = nil
    }

    /// Forgets the connection; its socket is closed with the last reference.
    mutating func remove(_ connection: Connection) {
        unname(connection)
        guard byToken.removeValue(forKey: connection.token) != nil else { return }
        if connection.isWide { wide -= 1 }
    }

    /// Goes on with the host's ports where another table was.
    mutating func restorePorts(next: UInt32) { nextPort = Self.firstPort | (next & Self.portMask) }

    /// A name for a connection from the host to `port` that no other has.
    mutating func freeKey(toGuest port: UInt32) -> ConnectionKey {
        // There are fewer connections than ports, so this ends.
        while true {
            let key = ConnectionKey(host: nextPort, guest: port)
            nextPort = Self.firstPort | ((nextPort &+ 1) & Self.portMask)
            if byKey[key] == nil { return key }
        }
    }
}
