/// `check`: what this machine offers.
public enum CheckMachine {
    /// The exit code: 0 if a container could run.
    public static func run(_ context: RuntimeContext, json: Bool) -> Int32 {
        var paths = HostCheck.Paths(kernel: context.assets.kernel, agent: context.assets.initramfs)
        paths.qemu = [context.assets.qemu]
        paths.virtiofsd = context.assets.virtiofsd
        paths.probeMilliseconds = UInt32(clamping: context.configuration.probeTimeout)
        let check = HostCheck.run(paths)
        Output.print(json ? check.json().text(.pretty) + "\n" : check.table())
        return check.exitCode
    }
}
