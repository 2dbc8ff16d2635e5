/// A limit as files of a cgroup have it.
struct HostSetting: Equatable {
    struct Write: Equatable {
        var file: String
        var value: String

        init(_ file: String, _ value: String) {
            self.file = file
            self.value = value
        }
    }

    /// By v2's name.
    var controller: String
    /// Of which the first is written whose file is there: what a kernel has depends on its configuration. Without any, that
    /// version has no such thing.
    var v1: [Write]
    var v2: [Write]

    init(_ controller: String, v1: [Write] = [], v2: [Write] = []) {
        self.controller = controller
        self.v1 = v1
        self.v2 = v2
    }

    /// The same file and value in both.
    init(_ controller: String, both write: Write) { self.init(controller, v1: [write], v2: [write]) }

    func writes(isUnified: Bool) -> [Write] { isUnified ? v2 : v1 }
}
