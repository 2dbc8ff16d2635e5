import LinuxSys

/// `create`: makes a container, ready to start.
public enum Create {
    public static func run(_ context: RuntimeContext, _ options: LaunchOptions) throws(RuntimeError) {
        let launch = Launch(context: context, options: options, foreground: false, removesAtExit: false)
        let sandbox = try launch.start()
        try sandbox.waitUntilCreated()
        guard let path = options.pidFile else { return }
        do throws(RuntimeError) { try PidFile.write(sandbox.standIn, to: path) } catch {
            sandbox.giveUp()
            throw error
        }
    }
}
