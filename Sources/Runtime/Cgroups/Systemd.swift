import DBus
import Glibc
import LinuxSys

/// systemd's manager, which owns the host's cgroups where it runs, and is asked for one over D-Bus.
struct Systemd: Sendable {
    struct Endpoint: Sendable {
        var path: String
        /// With a bus in between, whose other members are to be told from systemd.
        var hasBus: Bool
    }

    /// Tried in their order.
    var endpoints: [Endpoint]
    /// For a whole conversation.
    var milliseconds: UInt64
    /// The same for one that others wait for.
    private var fewerMilliseconds: UInt64 { min(milliseconds, 10_000) }

    init(endpoints: [Endpoint], milliseconds: UInt64 = 30_000) {
        self.endpoints = endpoints
        self.milliseconds = milliseconds
    }

    /// The first is for root alone, and there without a bus.
    static let standard = Systemd(endpoints: [
        Endpoint(path: "/run/systemd/private", hasBus: false),
        Endpoint(path: "/run/dbus/system_bus_socket", hasBus: true),
    ])

    /// As sd_booted(3).
    static var isRunning: Bool {
        var status = stat()
        return lstat("/run/systemd/system", &status) == 0 && status.st_mode & mode_t(S_IFMT) == mode_t(S_IFDIR)
    }

    enum Start: Equatable {
        case done
        /// There is a unit of that name.
        case exists
    }

    private enum ErrorName {
        static let unitExists = "org.freedesktop.systemd1.UnitExists"
        static let noSuchUnit = "org.freedesktop.systemd1.NoSuchUnit"
    }

    /// Starts a scope, with the process in it.
    func start(
        scope: String, slice: String, description: String, pid: pid_t, properties: [UnitProperty], isUnified: Bool
    ) throws(RuntimeError) -> Start {
        let all =
            [
                UnitProperty("Description", .string(description)), UnitProperty("Slice", .string(slice)),
                // What we write below and beside systemd's own files is ours.
                UnitProperty("Delegate", .boolean(true)),
                UnitProperty("PIDs", .array("u", [.uint32(UInt32(bitPattern: pid))])),
                UnitProperty("MemoryAccounting", .boolean(true)), UnitProperty("CPUAccounting", .boolean(true)),
                UnitProperty(isUnified ? "IOAccounting" : "BlockIOAccounting", .boolean(true)),
                UnitProperty("TasksAccounting", .boolean(true)),
                // It is not to wait for, nor to be stopped with, what a machine's services are.
                UnitProperty("DefaultDependencies", .boolean(false)),
            ] + properties
        let arguments: [DBusValue] = [
            .string(scope), .string("replace"), UnitProperty.list(all), .array("(sa(sv))", []),
        ]
        do throws(DBusError) {
            let conversation = try Conversation(self, milliseconds)
            do throws(DBusError) { try conversation.job("StartTransientUnit", arguments) } catch {
                guard case .refused(ErrorName.unitExists, _) = error else { throw error }
                // One that failed is kept for people to see: by then it is nobody's.
                try conversation.forget(scope)
                do throws(DBusError) { try conversation.job("StartTransientUnit", arguments) } catch {
                    if case .refused(ErrorName.unitExists, _) = error { return .exists }
                    throw error
                }
            }
            return .done
        } catch {
            throw RuntimeError("systemd can't start the unit \(scope): \(PrintableText.line("\(error)"))")
        }
    }

    /// Stops a unit and whatever is in it, and has systemd forget about it; one that is not there is fine.
    func stop(_ unit: String) throws(RuntimeError) {
        do throws(DBusError) {
            let conversation = try Conversation(self, fewerMilliseconds)
            do throws(DBusError) { try conversation.job("StopUnit", [.string(unit), .string("replace")]) } catch {
                guard case .refused(ErrorName.noSuchUnit, _) = error else { throw error }
            }
            try conversation.forget(unit)
        } catch {
            throw RuntimeError("systemd can't stop the unit \(unit): \(PrintableText.line("\(error)"))")
        }
    }

    /// Sets properties of a unit that runs, until it ends.
    func set(_ properties: [UnitProperty], of unit: String) throws(RuntimeError) {
        do throws(DBusError) {
            _ = try Conversation(self, fewerMilliseconds).call(
                "SetUnitProperties", [.string(unit), .boolean(true), UnitProperty.list(properties)])
        } catch {
            throw RuntimeError("systemd can't set the limits of \(unit): \(PrintableText.line("\(error)"))")
        }
    }

    /// A connection to the manager.
    private struct Conversation {
        private static let name = "org.freedesktop.systemd1"
        private static let path = "/org/freedesktop/systemd1"
        private static let interface = "org.freedesktop.systemd1.Manager"
        private static let busName = "org.freedesktop.DBus"
        private static let jobRemoved = "JobRemoved"

        private let connection: DBusConnection
        private let hasBus: Bool

        init(_ systemd: Systemd, _ milliseconds: UInt64) throws(DBusError) {
            var failure = DBusError.system("there is no socket of its")
            for endpoint in systemd.endpoints {
                do throws(DBusError) {
                    self = try Conversation(endpoint, milliseconds)
                    return
                } catch { failure = error }
            }
            throw failure
        }

        private init(_ endpoint: Endpoint, _ milliseconds: UInt64) throws(DBusError) {
            let socket: FileDescriptor
            do throws(Errno) { socket = try Sockets.connect(to: endpoint.path) } catch {
                throw .system("\(endpoint.path): \(error)")
            }
            connection = try DBusConnection(socket, milliseconds: milliseconds, watching: Self.jobRemoved)
            hasBus = endpoint.hasBus
            guard hasBus else { return }
            try tellBus("Hello")
            let rule = "type='signal',sender='\(Self.name)',interface='\(Self.interface)',member='\(Self.jobRemoved)'"
            try tellBus("AddMatch", [.string(rule)])
        }

        private func tellBus(_ member: String, _ arguments: [DBusValue] = []) throws(DBusError) {
            var call = DBusMessage(.call, arguments)
            call.destination = Self.busName
            call.path = "/org/freedesktop/DBus"
            call.interface = Self.busName
            call.member = member
            _ = try connection.call(call)
        }

        func call(_ member: String, _ arguments: [DBusValue] = []) throws(DBusError) -> DBusMessage {
            var call = DBusMessage(.call, arguments)
            call.destination = hasBus ? Self.name : nil
            call.path = Self.path
            call.interface = Self.interface
            call.member = member
            return try connection.call(call)
        }

        /// Calls what makes a job, and waits until that is done.
        func job(_ member: String, _ arguments: [DBusValue]) throws(DBusError) {
            // Who does not subscribe is told of no job's end.
            _ = try call("Subscribe")
            let answer = try call(member, arguments)
            guard case .path(let job)? = try answer.arguments().first else { throw .malformed("no job") }
            let end = try connection.signal { signal throws(DBusError) in
                // On a bus anyone can send a signal; only the bus itself says who did.
                guard signal.interface == Self.interface, signal.path == Self.path, signal.sender == answer.sender
                else { return false }
                let arguments = try signal.arguments()
                return arguments.count == 4 && arguments[1] == .path(job)
            }
            guard case .string(let result) = try end.arguments()[3] else { throw .malformed("a job's end") }
            guard result == "done" else { throw .system("its job ended as \(result.debugDescription)") }
        }

        func forget(_ unit: String) throws(DBusError) {
            do throws(DBusError) { _ = try call("ResetFailedUnit", [.string(unit)]) } catch {
                guard case .refused(ErrorName.noSuchUnit, _) = error else { throw error }
            }
        }
    }
}
