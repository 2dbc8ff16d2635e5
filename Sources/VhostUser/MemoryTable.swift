import GuestMemory
import LinuxSys

/// "Memory regions description": where the guest's memory is, with one descriptor for each region.
enum MemoryTable {
    static let mostRegions = 8

    static func decode(_ bytes: [UInt8], _ files: [SharedDescriptor]) throws(VhostUserError) -> GuestMemory {
        var reader = PayloadReader(bytes)
        let count: UInt32 = try reader.number()
        _ = try reader.number(UInt32.self)
        guard count >= 1, count <= UInt32(mostRegions), files.count == Int(count) else {
            throw .badMemoryTable("\(count) regions with \(files.count) descriptors")
        }
        var regions: [GuestRegion] = []
        for file in files {
            let guestAddress: UInt64 = try reader.number()
            let size: UInt64 = try reader.number()
            let userAddress: UInt64 = try reader.number()
            let offset: UInt64 = try reader.number()
            do throws(Errno) {
                regions.append(
                    try GuestRegion(
                        guestAddress: guestAddress, userAddress: userAddress, count: size, offset: offset,
                        sharing: file.descriptor))
            } catch {
                throw .badMemoryTable("\(size) bytes: \(error)")
            }
        }
        try reader.end()
        do throws(GuestMemoryError) { return try GuestMemory(regions) } catch {
            throw .badMemoryTable("overlapping regions")
        }
    }
}
