import LinuxSys
import Testing

extension EndToEnd {
    /// Images are built in guests: `podman build`, and buildah by itself.
    @Suite(.enabled(if: obstacle == nil, "\(obstacle ?? "")")) struct ImageBuilds {
        @Test func podmanBuild() throws {
            try PodmanPlace.use { place in
                let context = place.directory + "/context"
                try File.makeDirectories(context, mode: 0o755)
                try Files.write(context + "/of-the-host", "copied\n")
                try Files.write(
                    context + "/Containerfile",
                    """
                    FROM \(Clients.image)
                    COPY of-the-host /data/
                    RUN echo "kernel $(uname -r)" && cat /data/of-the-host >/made && rm /data/of-the-host
                    USER 1000
                    RUN id -u >/tmp/user
                    CMD ["cat", "/made", "/tmp/user"]
                    """)
                let image = "localhost/made:1"
                let build = try place.podman("build", "--network", "none", "--tag", image, context)
                #expect(build.code == 0, "\(build)")
                // Not the host's kernel.
                #expect(build.out.contains("kernel ") && build.out.contains("-kvm-runtime"), "\(build.out)")
                let run = try place.podman("run", "--rm", "--network", "none", image)
                #expect(run.code == 0 && run.out == "copied\n1000\n", "\(run)")

                try Files.write(context + "/Containerfile", "FROM \(Clients.image)\nRUN exit 9\n")
                let failing = try place.podman("build", "--network", "none", context)
                #expect(failing.code != 0 && failing.err.contains("exit status 9"), "\(failing)")
            }
        }

        @Test func buildah() throws {
            try PodmanPlace.use { place in
                let from = try place.buildah(["from", "--pull-never", Clients.image])
                #expect(from.code == 0, "\(from)")
                let container = String(from.out.dropLast())
                let run = ["--runtime", Build.binary, "--network", "none"]
                let first = try place.buildah(
                    ["run"] + run + ["--user", "1000", container, "sh", "-c", "id -u; cat >/tmp/file; exit 3"],
                    input: "of the caller\n")
                #expect(first.code == 3 && first.out == "1000\n", "\(first)")
                try File.makeDirectories(place.directory + "/v", mode: 0o755)
                let volume = ["--volume", place.directory + "/v:/v:ro"]
                let second = try place.buildah(
                    ["run"] + run + volume + [container, "sh", "-c", "cat /tmp/file; touch /v/file"])
                #expect(second.code == 1 && second.out == "of the caller\n", "\(second)")
                #expect(second.err.contains("/v/file: Read-only file system"), "\(second)")
                #expect(try place.buildah(["rm", container]).code == 0)
            }
        }
    }
}

private let obstacle = Clients.obstacle("podman", "buildah", "umoci", "skopeo")
