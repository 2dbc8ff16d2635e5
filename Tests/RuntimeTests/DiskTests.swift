import Glibc
import JSON
import LinuxSys
import OCISpec
import Testing

@testable import Runtime

struct DiskAnnotationTests {
    private func refusal(_ annotations: [String: String]) -> String? {
        do throws(RuntimeError) { _ = try DiskAnnotations(annotations) } catch { return error.description }
        return nil
    }

    @Test("what changes what is done is said by `features`")
    func features() {
        #expect(Features.current.steeringAnnotations == [VMChoice.prefix])
        #expect(
            [DiskAnnotations.rootPrefix, DiskAnnotations.diskPrefix].allSatisfy { $0.hasPrefix(VMChoice.prefix) })
    }

    @Test func nothingAsked() throws {
        #expect(try DiskAnnotations([:]).images.isEmpty)
        #expect(try DiskAnnotations(["io.kvm-runtime": "x", "org.example.disk": "y"]).images.isEmpty)
    }

    @Test func everything() throws {
        let images = try DiskAnnotations([
            "io.kvm-runtime.disk.b_2": "b.img,auto,/var/lib/docker", "io.kvm-runtime.disk.a": "/x/a,ext4,/a,ro",
            DiskAnnotations.rootImage: "rootfs.erofs", DiskAnnotations.rootType: "erofs",
        ]).images
        #expect(
            images == [
                .init(
                    key: DiskAnnotations.rootImage, name: "root", path: "rootfs.erofs", format: .erofs, readOnly: false),
                .init(
                    key: "io.kvm-runtime.disk.a", name: "disk-a", path: "/x/a", format: .ext4, target: "/a",
                    readOnly: true),
                .init(
                    key: "io.kvm-runtime.disk.b_2", name: "disk-b_2", path: "b.img", target: "/var/lib/docker",
                    readOnly: false),
            ])
    }

    @Test(
        arguments: [
            ("root.image", "", "is empty"), ("root.type", "ext4", "needs io.kvm-runtime.root.image"),
            ("root.size", "1", "is not known"), ("disk.", "/a,ext4,/a", "has a name"),
            ("disk.0123456789abcdef", "/a,ext4,/a", "has a name"), ("disk.a/b", "/a,ext4,/a", "has a name"),
            ("disk.a b", "/a,ext4,/a", "has a name"), ("disk.é", "/a,ext4,/a", "has a name"),
            ("disk.a", "", "must be \"PATH"), ("disk.a", "/a", "must be"), ("disk.a", ",ext4,/a", "must be"),
            ("disk.a", "/a,ext4,/a,rw", "must be"), ("disk.a", "/a,ext4,/a,ro,ro", "must be"),
            ("disk.a", "/a,ntfs,/a", "names the file system \"ntfs\"; there are ext4, erofs, squashfs, and auto"),
            ("disk.a", "/a,,/a", "names the file system \"\""), ("disk.a", "/a,ext4,", "has a mount point"),
            ("disk.a", "/a,ext4,/", "has a mount point"), ("disk.a", "/a,ext4,a", "has a mount point"),
            ("disk.a", "/a,ext4,/a/../b", "has a mount point"), ("disk.a", "/a,ext4,/a/", "has a mount point"),
            ("disk.a", "/a,ext4,//a", "has a mount point"), ("disk.a", "/a,ext4,/./a", "has a mount point"),
        ])
    func refused(key: String, value: String, reason: String) {
        let words = refusal(["io.kvm-runtime." + key: value])
        #expect(words?.hasPrefix("config.json: annotation io.kvm-runtime.\(key) \(reason)") == true, "\(words ?? "-")")
    }

    @Test func twoAtOnePlace() {
        let words = refusal([
            "io.kvm-runtime.disk.a": "/a,ext4,/x", "io.kvm-runtime.disk.b": "/b,ext4,/x",
        ])
        #expect(words?.contains("io.kvm-runtime.disk.a have the same mount point") == true)
    }
}

struct ContainerDiskTests {
    private func disk(
        _ annotations: [String: String], allowed: [String], readOnly: Bool = false, in path: String
    ) throws -> [ContainerDisk] {
        let annotations = annotations.map { "\"\($0.key)\":\"\($0.value)\"" }.joined(separator: ",")
        let text = """
            {"ociVersion":"1.0.2","process":{"user":{"uid":0,"gid":0},"args":["sh"],"cwd":"/"},
            "root":{"path":".","readonly":\(readOnly)},"annotations":{\(annotations)}}
            """
        try write(Array(text.utf8), path + "/config.json")
        var configuration = Configuration()
        configuration.allowedImages = allowed
        return try ContainerDisk.all(of: Bundle(path: path), configuration)
    }

    private func write(_ bytes: [UInt8], _ path: String, mode: mode_t = 0o600) throws {
        try FileDescriptor.open(path, O_WRONLY | O_CREAT | O_TRUNC, mode: mode).writeAll(bytes)
    }

    private func start(_ offset: Int, _ magic: [UInt8]) -> [UInt8] {
        [UInt8](repeating: 0, count: offset) + magic + [UInt8](repeating: 0, count: 3000)
    }

    private func images(_ path: String) throws {
        try write(start(1080, [0x53, 0xEF]), path + "/e.ext4")
        try write(start(1024, [0xE2, 0xE1, 0xF5, 0xE0]), path + "/r.erofs")
        try write(start(0, Array("hsqs".utf8)), path + "/s.squashfs")
        try write(start(1080, [0x53, 0xEF]), path + "/sealed", mode: 0o444)
        try write([1, 2, 3], path + "/short")
    }

    @Test("who may write to the image, and what is made of that")
    func writers() throws {
        try inScratch { path in
            let path = try File.realPath(path)
            try images(path)
            func root(_ name: String, readOnly: Bool) throws -> ContainerDisk {
                let disks = try disk(
                    [DiskAnnotations.rootImage: name], allowed: [path + "/*"], readOnly: readOnly, in: path)
                return try #require(disks.first)
            }
            let writable = try root("e.ext4", readOnly: false)
            #expect(writable.machineDisk == .init(source: path + "/e.ext4", readOnly: false, name: "root"))
            #expect(writable.guestDisk == .init(name: "root", type: "ext4", readOnly: false, overlay: false))
            for (name, readOnly) in [("e.ext4", true), ("r.erofs", false), ("s.squashfs", false), ("sealed", false)] {
                let disk = try root(name, readOnly: readOnly)
                #expect(disk.readOnly && disk.guestDisk.overlay && disk.machineDisk.readOnly)
            }
            let scratch = try disk(
                ["io.kvm-runtime.disk.d": "e.ext4,auto,/d"], allowed: [path + "/*"], readOnly: true, in: path)
            #expect(scratch.first?.readOnly == false && scratch.first?.isRoot == false)
            let second = try disk(
                ["io.kvm-runtime.disk.d": "r.erofs,erofs,/d"], allowed: [path + "/*.erofs"], in: path)
            #expect(second.first?.guestDisk == .init(name: "disk-d", type: "erofs", readOnly: true, overlay: false))
            #expect(try ContainerDisk(decoding: .init(second[0].json)) == second[0])
        }
    }

    @Test("what is not allowed is not looked at")
    func notAllowed() throws {
        try inScratch { path in
            let path = try File.realPath(path)
            try images(path)
            _ = try once { symlink("/etc/passwd", path + "/link") }
            for (name, allowed) in [
                ("e.ext4", []), ("e.ext4", ["/other/*"]), ("e.ext4", [path]), ("e.ext4", ["/*"]),
                ("link", [path + "/*"]),
                ("missing", []), ("../x", [path + "/*"]),
            ] {
                let error = #expect(throws: RuntimeError.self) {
                    _ = try disk([DiskAnnotations.rootImage: name], allowed: allowed, in: path)
                }
                #expect(error?.description.contains("is not allowed: add it") == true, "\(name) \(allowed)")
            }
        }
    }

    @Test("what is no image")
    func noImage() throws {
        try inScratch { path in
            let path = try File.realPath(path)
            try images(path)
            _ = try once { mkdir(path + "/folder", 0o700) }
            _ = try once { mkfifo(path + "/fifo", 0o600) }
            for (value, words) in [
                ("missing,ext4,/a", "No such file"), ("folder,ext4,/a", "neither a file"), ("fifo,ext4,/a", "neither"),
                ("short,auto,/a", "none of the file systems"),
                ("r.erofs,ext4,/a", "has the file system erofs, not ext4"),
            ] {
                let error = #expect(throws: RuntimeError.self) {
                    _ = try disk(["io.kvm-runtime.disk.d": value], allowed: [path + "/*"], in: path)
                }
                #expect(error?.description.contains(words) == true, "\(error?.description ?? "-")")
            }
        }
    }

    @Test("an image may be there twice if nobody writes to it")
    func twice() throws {
        try inScratch { path in
            let path = try File.realPath(path)
            try images(path)
            func both(_ option: String) throws -> Int {
                try disk(
                    ["io.kvm-runtime.disk.a": "e.ext4,ext4,/a,ro", "io.kvm-runtime.disk.b": "e.ext4,ext4,/b\(option)"],
                    allowed: [path + "/*"], in: path
                ).count
            }
            #expect(try both(",ro") == 2)
            #expect(throws: RuntimeError.self) { try both("") }
        }
    }
}

/// `vm.image` and its annotation.
struct MachineImageTests {
    private func choice(_ image: JSONValue?, _ annotation: String?, allowed: [String]) throws -> VMChoice {
        var vm: JSONValue = ["kernel": ["path": "/etc/passwd"]]
        if let image { vm = ["kernel": ["path": "/etc/passwd"], "image": image] }
        let document: JSONValue = [
            "ociVersion": "1.0.2", "annotations": JSONValue(annotation.map { ["io.kvm-runtime.image": $0] } ?? [:]),
            "vm": image == nil ? .null : vm,
        ]
        var choices = AllowedChoices()
        choices.kernels = ["/etc/passwd"]
        choices.images = allowed
        return try VMChoice(try Spec(json: document), choices)
    }

    private func refusal(_ image: JSONValue?, _ annotation: String?, allowed: [String]) -> String? {
        do { _ = try choice(image, annotation, allowed: allowed) } catch { return "\(error)" }
        return nil
    }

    @Test func chosen() throws {
        try inScratch { path in
            let path = try File.realPath(path)
            try FileDescriptor.open(path + "/i", O_WRONLY | O_CREAT, mode: 0o600).writeAll(Array("hsqs".utf8))
            #expect(try choice(nil, nil, allowed: [path + "/*"]) == VMChoice())
            let image = try #require(try choice(["path": .string(path + "/i")], nil, allowed: [path + "/*"]).image)
            #expect(image.format == .squashfs && image.field == "vm.image.path")
            #expect(image.machineDisk == .init(source: path + "/i", readOnly: true, name: "guest"))
            #expect(image.guestDisk == .init(name: "guest", type: "squashfs", readOnly: true, overlay: true))
            #expect(try MachineImage(decoding: .init(image.json)) == image)
            let annotated = try choice(nil, path + "/i", allowed: [path + "/*"]).image
            #expect(annotated?.source == image.source)
            #expect(annotated?.field == "annotations[\"io.kvm-runtime.image\"]")
        }
    }

    @Test func refused() throws {
        try inScratch { path in
            let path = try File.realPath(path)
            try FileDescriptor.open(path + "/i", O_WRONLY | O_CREAT, mode: 0o600).writeAll([1, 2, 3])
            _ = try once { symlink("/etc/passwd", path + "/link") }
            _ = try once { mkdir(path + "/folder", 0o700) }
            let all = [path + "/*"]
            for (name, allowed, words) in [
                ("/i", [], "vm.image.path is not allowed; an administrator can allow it with vm.images"),
                ("/i", [path], "vm.image.path is not allowed"), ("/link", all, "vm.image.path is not allowed"),
                ("/none", [], "vm.image.path is not allowed"), ("/none", all, "vm.image.path: \(path)/none: No such"),
                ("/i", all, "vm.image.path: \(path)/i has none of the file systems"),
                ("/folder", all, "vm.image.path: \(path)/folder is neither a file nor a block device"),
            ] {
                let error = refusal(["path": .string(path + name), "format": "raw"], nil, allowed: allowed)
                #expect(error?.hasPrefix(words) == true, "\(error ?? "-")")
            }
            #expect(refusal(["path": "relative"], nil, allowed: ["*"]) == "vm.image.path: must be an absolute path")
            let annotated = refusal(nil, path + "/link", allowed: all)
            #expect(annotated?.hasPrefix("annotations[\"io.kvm-runtime.image\"] is not allowed") == true)
        }
    }

    @Test("who writes to an image has it alone")
    func alone() throws {
        let image = try MachineImage(
            decoding: .init(["source": "/i", "format": "ext4", "field": "vm.image.path"]))
        func disk(_ source: String, readOnly: Bool) throws -> ContainerDisk {
            try ContainerDisk(
                decoding: .init([
                    "name": "disk-a", "source": .string(source), "format": "ext4", "target": "/a",
                    "readOnly": .bool(readOnly),
                ]))
        }
        try image.checkAlone(among: [])
        try image.checkAlone(among: [disk("/i", readOnly: true), disk("/j", readOnly: false)])
        let error = #expect(throws: RuntimeError.self) { try image.checkAlone(among: [disk("/i", readOnly: false)]) }
        #expect(error?.description == "vm.image.path: /i is the image of disk-a too, which writes to it")
    }
}
