import FuzzTargets
import Glibc
import LinuxSys

/// One input of the target that FUZZ_TARGET names. Ends the process with a line on stderr when it finds something.
enum Fuzz {
    private static func end(_ text: String) -> Never {
        // Not closed: libFuzzer has something to say too.
        let standardError = FileDescriptor(owning: 2)
        try? standardError.writeAll(Array("kvm-fuzz: \(text)\n".utf8))
        _ = standardError.release()
        abort()
    }

    static let target: FuzzTarget = {
        let name = getenv("FUZZ_TARGET").map { String(cString: $0) } ?? ""
        FuzzTarget.prepare()
        if let target = FuzzTarget.named(name) {
            // What is made once is there before anything is counted.
            _ = target.run([])
            return target
        }
        end("FUZZ_TARGET is one of \(FuzzTarget.all.map(\.name).joined(separator: ", "))")
    }()

    static func run(_ input: [UInt8]) {
        let target = target
        let before = openDescriptors()
        if let complaint = target.run(input) { end(complaint) }
        let after = openDescriptors()
        if after > before { end("\(after - before) descriptors are still open") }
    }

    private static func openDescriptors() -> Int { (try? File.list("/proc/self/fd").count) ?? 0 }
}

/// What libFuzzer calls.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    Fuzz.run(Array(UnsafeBufferPointer(start: bytes, count: count)))
    return 0
}

#if !LIBFUZZER
    /// Without libFuzzer, which brings its own `main`: runs the files that it is given, to look at what was found.
    @main
    enum Replay {
        static func main() {
            for path in CommandLine.arguments.dropFirst() {
                print(path)
                if let bytes = try? File.read(path, limit: 1 << 20) { Fuzz.run(bytes) }
            }
        }
    }
#endif
