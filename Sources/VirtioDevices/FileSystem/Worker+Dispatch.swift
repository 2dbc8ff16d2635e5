import GuestMemory
import LinuxSys
import Synchronization

extension Worker {
    func perform(_ header: RequestHeader) throws(Errno) -> Answer {
        guard let opcode = Opcode(rawValue: header.opcode) else { throw .notImplemented }
        var body = try body(opcode)
        switch opcode {
        case .forget: return forget(header, &body)
        case .batchForget: return batchForget(&body)
        case .interrupt: return interrupt(&body)
        default: break
        }
        // All others are answered, so there must be room for that before anything is done.
        guard Int(chain.writableBytes) >= ReplyHeader.byteCount else { return .none }
        if opcode.onlyLooks { return try perform(opcode, header, &body) }
        fs.changes.add(1, ordering: .sequentiallyConsistent)
        defer { fs.changes.add(1, ordering: .sequentiallyConsistent) }
        return try perform(opcode, header, &body)
    }

    private func perform(_ opcode: Opcode, _ header: RequestHeader, _ body: inout ByteReader) throws(Errno) -> Answer {
        switch opcode {
        case .lookup, .symlink, .makeNode, .makeDirectory, .unlink, .removeDirectory, .rename, .rename2, .link,
            .readLink:
            try performOnNames(opcode, header, &body)
        case .getAttributes: try getAttributes(header, &body)
        case .setAttributes: try setAttributes(header, &body)
        case .extendedStatus: try extendedStatus(header, &body)
        case .systemStatus: try systemStatus(header)
        case .openDirectory: try openDirectory(header)
        case .readDirectory: try readDirectory(header, &body, plus: false)
        case .readDirectoryPlus: try readDirectory(header, &body, plus: true)
        case .releaseDirectory: try release(&body)
        case .synchronizeDirectory: try synchronizeDirectory(&body)
        case .getXAttribute, .listXAttributes, .setXAttribute, .removeXAttribute:
            try performOnXAttributes(opcode, header, &body)
        case .getLock: try getLock(header, &body)
        case .setLock: try setLock(header, &body, waits: false)
        case .setLockWaiting: try setLock(header, &body, waits: true)
        case .flush: try flush(header, &body)
        case .initialize: try initialize(&body)
        case .destroy: destroy()
        case .synchronizeFileSystem: try synchronizeFileSystem(header)
        // The guest's kernel checks permissions by itself (default_permissions).
        case .access: throw Errno.notImplemented
        default: try performOnFile(opcode, header, &body)
        }
    }

    private func performOnNames(_ opcode: Opcode, _ header: RequestHeader, _ body: inout ByteReader) throws(Errno)
        -> Answer
    {
        switch opcode {
        case .lookup: try lookup(header, &body)
        case .symlink: try symlink(header, &body)
        case .makeNode: try makeNode(header, &body)
        case .makeDirectory: try makeDirectory(header, &body)
        case .unlink: try remove(header, &body, isDirectory: false)
        case .removeDirectory: try remove(header, &body, isDirectory: true)
        case .rename: try rename(header, &body, hasFlags: false)
        case .rename2: try rename(header, &body, hasFlags: true)
        case .link: try link(header, &body)
        default: try readLink(header)
        }
    }

    private func performOnXAttributes(_ opcode: Opcode, _ header: RequestHeader, _ body: inout ByteReader)
        throws(Errno) -> Answer
    {
        switch opcode {
        case .getXAttribute: try getXAttribute(header, &body)
        case .listXAttributes: try listXAttributes(header, &body)
        case .setXAttribute: try setXAttribute(header, &body)
        default: try removeXAttribute(header, &body)
        }
    }

    private func performOnFile(_ opcode: Opcode, _ header: RequestHeader, _ body: inout ByteReader) throws(Errno)
        -> Answer
    {
        switch opcode {
        case .open: try open(header, &body)
        case .create: try create(header, &body)
        case .temporaryFile: try temporaryFile(header, &body)
        case .read: try read(&body)
        case .write: try write(&body)
        case .release: try release(&body)
        case .synchronize: try synchronize(&body)
        case .allocate: try allocate(header, &body)
        case .seek: try seek(&body)
        case .copyRange: try copyRange(header, &body)
        default: throw Errno.notImplemented
        }
    }
}
