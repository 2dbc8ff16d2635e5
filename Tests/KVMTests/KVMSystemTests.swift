import CKVM
import LinuxSys
import Testing

@testable import KVM

@Suite(.enabled(if: hasKVM, "there is no /dev/kvm here"))
struct KVMSystemTests {
    @Test func system() throws {
        let system = try KVMSystem()
        #expect(try system.apiVersion() == 12)
        #expect(try system.check(extension: KVM_CAP_USER_MEMORY) == 1)
        #expect(try !system.supportedCPUID().isEmpty)
    }

    @Test func noSystem() {
        #expect(throws: Errno.noSuchFile) { _ = try KVMSystem(path: "/nonexistent") }
    }

    @Test func registersComeBack() throws {
        let system = try KVMSystem()
        let machine = try system.makeMachine()
        let processor = try machine.makeProcessor(0)
        var registers = kvm_regs()
        registers.rip = 0x1234
        registers.rax = 0x5678
        registers.rflags = 2
        try processor.set(registers)
        let back = try processor.registers()
        #expect(back.rip == 0x1234)
        #expect(back.rax == 0x5678)
        #expect(try processor.specialRegisters().cr0 & 1 == 0)
    }

    /// Sixteen-bit code, as after a reset: a byte to a port, and halt.
    @Test(.enabled(if: KVMProbe().run().fitness.isFit, "this machine's KVM is not fit"))
    func runsAGuest() throws {
        #expect(try KVMProbeGuest.hello() == [.write(port: 0x10, [0x42]), .halt])
    }
}

/// The least of guests.
enum KVMProbeGuest {
    static func hello() throws(Errno) -> [KVMExit] {
        let memory = try MemoryMapping(anonymous: 4096)
        let code: [UInt8] = [0xb0, 0x42, 0xe6, 0x10, 0xf4]
        memory.bytes.copyBytes(from: code)
        let system = try KVMSystem()
        let machine = try system.makeMachine()
        try machine.setTSSAddress(0xfffb_d000)
        try machine.setMemory(slot: 0, at: 0, memory)
        let processor = try machine.makeProcessor(0)
        try processor.setCPUID(try system.supportedCPUID())
        var special = try processor.specialRegisters()
        special.cs.base = 0
        special.cs.selector = 0
        try processor.set(special)
        var registers = kvm_regs()
        registers.rflags = 2
        try processor.set(registers)
        let first = try processor.run()
        return [first, try processor.run()]
    }
}
