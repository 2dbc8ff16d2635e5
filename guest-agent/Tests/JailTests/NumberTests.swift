import AgentProtocol
import CJail
import Testing

/// What the host calls by a name of its own is what C calls so.
@Suite struct NumberTests {
    @Test func operations() {
        let numbers: [(JailOperationKind, cjail_op_kind)] = [
            (.mount, CJAIL_OP_MOUNT), (.bind, CJAIL_OP_BIND), (.remount, CJAIL_OP_REMOUNT),
            (.attributes, CJAIL_OP_ATTRIBUTES), (.propagation, CJAIL_OP_PROPAGATION), (.device, CJAIL_OP_DEVICE),
            (.symlink, CJAIL_OP_SYMLINK), (.copyUp, CJAIL_OP_COPY_UP), (.mask, CJAIL_OP_MASK),
            (.readOnly, CJAIL_OP_READONLY), (.sysctl, CJAIL_OP_SYSCTL), (.loopback, CJAIL_OP_LOOPBACK),
            (.hostname, CJAIL_OP_HOSTNAME), (.domainname, CJAIL_OP_DOMAINNAME), (.socket, CJAIL_OP_SOCKET),
            (.guestDevices, CJAIL_OP_GUEST_DEVICES),
        ]
        #expect(numbers.map { $0.0 } == JailOperationKind.allCases)
        for (ours, theirs) in numbers { #expect(ours.rawValue == theirs.rawValue, "\(ours)") }
    }

    @Test func steps() {
        let numbers: [(JailStep, cjail_step)] = [
            (.namespaces, CJAIL_STEP_NAMESPACES), (.rootfs, CJAIL_STEP_ROOTFS), (.operation, CJAIL_STEP_OPERATION),
            (.pivot, CJAIL_STEP_PIVOT), (.terminal, CJAIL_STEP_TERMINAL), (.stdio, CJAIL_STEP_STDIO),
            (.limits, CJAIL_STEP_LIMITS), (.cwd, CJAIL_STEP_CWD), (.capabilities, CJAIL_STEP_CAPABILITIES),
            (.groups, CJAIL_STEP_GROUPS), (.user, CJAIL_STEP_USER), (.lookup, CJAIL_STEP_LOOKUP),
            (.sync, CJAIL_STEP_SYNC), (.exec, CJAIL_STEP_EXEC), (.join, CJAIL_STEP_JOIN),
            (.seccomp, CJAIL_STEP_SECCOMP), (.hook, CJAIL_STEP_HOOK),
            (.oomScore, CJAIL_STEP_OOM_SCORE), (.scheduler, CJAIL_STEP_SCHEDULER),
            (.ioPriority, CJAIL_STEP_IO_PRIORITY), (.personality, CJAIL_STEP_PERSONALITY),
            (.affinity, CJAIL_STEP_AFFINITY), (.timeOffsets, CJAIL_STEP_TIME_OFFSETS),
            (.idMaps, CJAIL_STEP_ID_MAPS), (.memoryPolicy, CJAIL_STEP_MEMORY_POLICY),
        ]
        #expect(numbers.map { $0.0 } == JailStep.allCases)
        for (ours, theirs) in numbers { #expect(ours.rawValue == theirs.rawValue, "\(ours)") }
    }

    @Test func hookOutcomes() {
        #expect(HookOutcome.exited == CInt(CJAIL_HOOK_EXITED))
        #expect(HookOutcome.signaled == CInt(CJAIL_HOOK_SIGNALED))
        #expect(HookOutcome.timedOut == CInt(CJAIL_HOOK_TIMED_OUT))
    }
}
