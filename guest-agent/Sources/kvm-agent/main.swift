import AgentCore
import CInit

// What had to be done before the Swift runtime was set up is in CInit.
cinit_linked()
Agent.main()
