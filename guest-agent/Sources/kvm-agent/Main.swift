import AgentCore
import CInit

@main
enum Main {
    static func main() {
        // What had to be done before the Swift runtime was set up is in CInit.
        cinit_settle()
        Agent.main()
    }
}
