import FileCalls
import GuestMemory
import LinuxSys

/// Requests about extended attributes.
extension Worker {
    /// FUSE_SETXATTR_ACL_KILL_SGID.
    private static let killSetGroupID: UInt32 = 1

    /// What the attributes belong to. A symlink is named by its directory too, which `body` keeps open.
    private func withPlace<Result>(
        _ node: UInt64, _ body: (FileCalls.Place) throws(Errno) -> Result
    ) throws(Errno) -> Result {
        if node == InodeTable.virtualRoot { throw .notSupported }
        let inode = try fs.inode(node)
        let descriptor = try fs.descriptor(of: inode)
        guard inode.kind == .symlink else { return try body(FileCalls.Place(descriptor)) }
        let (parent, name) = fs.monitor.withLock { (inode.parent, inode.name) }
        guard let parent, let name else { throw .notSupported }
        let directory = try fs.descriptor(of: parent)
        return try body(FileCalls.Place(descriptor, symlink: (directory, name)))
    }

    private func attributeName(_ body: inout ByteReader) throws(Errno) -> FileCalls.AttributeName {
        let bytes = try body.text()
        guard let name = FileCalls.AttributeName(bytes) else { throw bytes.isEmpty ? .invalidArgument : .outOfRange }
        return name
    }

    private func checkWritable(_ node: UInt64) throws(Errno) {
        if node == InodeTable.virtualRoot { throw .readOnlyFileSystem }
        if try fs.inode(node).tree.readOnly { throw .readOnlyFileSystem }
    }

    private func append(size: Int) {
        reply.append(UInt32(truncatingIfNeeded: size))
        reply.append(UInt32(0))
    }

    func getXAttribute(_ header: RequestHeader, _ body: inout ByteReader) throws(Errno) -> Answer {
        let size: UInt32 = try body.number()
        try body.skip(4)
        let name = try attributeName(&body)
        do throws(Errno) {
            try withPlace(header.node) { place throws(Errno) in
                if size == 0 {
                    append(size: try FileCalls.attributeSize(name, of: place))
                } else {
                    reply.append(try FileCalls.attribute(name, of: place, room: min(Int(size), room)))
                }
            }
        } catch .notSupported where name.isAccessList {
            // The guest's kernel looks for a list before it lets somebody else than the owner in, and takes this answer for
            // a failure: where there can be no list, there is none.
            throw .noAttribute
        }
        return .reply
    }

    func listXAttributes(_ header: RequestHeader, _ body: inout ByteReader) throws(Errno) -> Answer {
        let size: UInt32 = try body.number()
        try withPlace(header.node) { place throws(Errno) in
            if size == 0 {
                append(size: try FileCalls.attributeListSize(of: place))
            } else {
                reply.append(try FileCalls.attributeList(of: place, room: min(Int(size), room)))
            }
        }
        return .reply
    }

    func setXAttribute(_ header: RequestHeader, _ body: inout ByteReader) throws(Errno) -> Answer {
        let size: UInt32 = try body.number()
        let flags: UInt32 = try body.number()
        var extended: UInt32 = 0
        if fs.monitor.withLock({ fs.negotiated.contains(.extendedSetXAttribute) }) {
            extended = try body.number()
            try body.skip(4)
        }
        let name = try attributeName(&body)
        guard size <= UInt32(FileCalls.mostAttributeBytes) else { throw .tooBig }
        guard let flags = CInt(exactly: flags) else { throw .invalidArgument }
        let value = Array(try body.take(Int(size)))
        try checkWritable(header.node)
        credentials.keepSetID(extended & Self.killSetGroupID == 0)
        try withPlace(header.node) { place throws(Errno) in
            try changing(inode: fs.inode(header.node)) { () throws(Errno) in
                try FileCalls.setAttribute(name, of: place, to: value, flags: flags)
            }
        }
        return .reply
    }

    func removeXAttribute(_ header: RequestHeader, _ body: inout ByteReader) throws(Errno) -> Answer {
        let name = try attributeName(&body)
        try checkWritable(header.node)
        try withPlace(header.node) { place throws(Errno) in
            try changing(inode: fs.inode(header.node)) { () throws(Errno) in
                try FileCalls.removeAttribute(name, of: place)
            }
        }
        return .reply
    }
}
