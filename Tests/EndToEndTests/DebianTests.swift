import LinuxSys
import Testing

extension EndToEnd {
    /// A real distribution's programs, with each of the clients.
    @Suite struct Debian {
        /// Programs with libraries, locales, setuid bits and users, and what they say.
        private static let script = """
            set -eu; . /etc/os-release; echo "$ID $VERSION_CODENAME bash ${BASH_VERSINFO[0]}"
            dpkg-query -W -f '${Status} ' dpkg perl-base; echo; dpkg -l | grep -c ^ii
            apt-get --version | head -n 1 | cut -d . -f 1; dpkg --verify dpkg base-passwd login
            perl -e 'printf "%s %d\\n", join("", map { chr } 72, 105), 6 * 7'
            getent passwd www-data games | cut -d : -f 1,3 | xargs
            useradd --create-home --uid 1234 someone; su - someone -c 'umask 27; date >of-mine; id -un; pwd'
            stat -c '%U %u %a' /home/someone/of-mine; su -s /bin/sh games -c 'cat /home/someone/of-mine' 2>&1 || exit 9
            """
        private static let said = """
            debian bookworm bash 5
            install ok installed install ok installed 
            \("COUNT")
            apt 2
            Hi 42
            www-data:33 games:5
            someone
            /home/someone
            someone 1234 640
            cat: /home/someone/of-mine: Permission denied

            """

        /// What the script said, and that the packages it counted are those of a minimal Debian.
        private func check(_ outcome: Outcome, sourceLocation: SourceLocation = #_sourceLocation) {
            let count = outcome.lines.dropFirst(2).first.flatMap { Int($0) } ?? 0
            #expect((60..<200).contains(count), "\(outcome)", sourceLocation: sourceLocation)
            #expect(
                outcome.out == Self.said.replacing("COUNT", with: "\(count)"), "\(outcome)",
                sourceLocation: sourceLocation)
            #expect(outcome.code == 9, "\(outcome)", sourceLocation: sourceLocation)
        }

        @Test(.enabled(if: ContainerdPlace.obstacle == nil, "\(ContainerdPlace.obstacle ?? "")"))
        func containerd() throws {
            let debian = try DebianImage.get()
            try ContainerdPlace.use { place in
                let imported = try place.ctr("image", "import", debian.archive("oci"))
                #expect(imported.code == 0, "\(imported)")
                func run(_ options: String..., id: String, _ command: String...) throws -> Outcome {
                    try place.start(
                        ["run"] + options + ["--runc-binary", Build.binary, DebianImage.name, id] + command
                    ).finish()
                }
                check(try run("--rm", id: "f", "bash", "-c", Self.script))
                #expect(try run("-d", id: "d", "perl", "-e", "sleep 999").code == 0)
                func exec(_ options: String..., command: [String]) throws -> Outcome {
                    try place.start(["task", "exec"] + options + ["d"] + command).finish()
                }
                let first = try exec(
                    "--exec-id", "e1", "--user", "33:33",
                    command: ["bash", "-c", "id -un; touch /tmp/file; stat -c %U:%G /tmp/file; exit 3"])
                #expect(first.code == 3 && first.out == "www-data\nwww-data:www-data\n", "\(first)")
                // dpkg writes, locks and renames; what it has removed is not there.
                let second = try exec(
                    "--exec-id", "e2",
                    command: ["bash", "-c", "dpkg --purge --force-all e2fsprogs >&2; dpkg -l e2fsprogs; mke2fs"])
                #expect(second.code == 127 && second.err.contains("Removing e2fsprogs"), "\(second)")
                #expect(try place.task("kill", "--signal", "KILL", "d").code == 0)
                #expect(try eventually(within: 20) { try place.task("list").out.contains("STOPPED") })
                #expect(try place.task("delete", "d").err.contains("137"))
                #expect(try place.ctr("containers", "rm", "d").code == 0)
            }
        }

        @Test(.enabled(if: PodmanPlace.obstacle == nil, "\(PodmanPlace.obstacle ?? "")"))
        func podman() throws {
            let debian = try DebianImage.get()
            try PodmanPlace.use { place in
                #expect(try place.podman("load", "--input", debian.archive("docker")).code == 0)
                func run(_ options: String..., command: [String]) throws -> Outcome {
                    try place.start(["run", "--rm", "--network", "none"] + options + command).finish()
                }
                check(try run(DebianImage.name, command: ["bash", "-c", Self.script]))

                // Packages' own scripts, a user that a step has made, and who owns what.
                let context = place.directory + "/context"
                try File.makeDirectories(context, mode: 0o755)
                try Files.write(
                    context + "/Containerfile",
                    """
                    FROM \(DebianImage.name)
                    RUN dpkg-reconfigure --frontend noninteractive tzdata base-passwd && ldconfig && useradd --uid 4321 -m app
                    COPY --chown=app Containerfile /home/app/
                    USER app
                    WORKDIR /home/app
                    RUN perl -ne 'print if /^FROM/' Containerfile >from && chmod 4750 from
                    CMD ["bash", "-c", "id -un; cat from; stat -c '%U %a %n' *; test -w /etc/passwd"]
                    """)
                let image = "localhost/debian-app:1"
                let build = try place.podman("build", "--network", "none", "--tag", image, context)
                #expect(build.code == 0, "\(build)")
                let app = try run(image, command: [])
                #expect(
                    app.out == "app\nFROM \(DebianImage.name)\napp 644 Containerfile\napp 4750 from\n", "\(app)")
                #expect(app.code == 1, "\(app)")
                let user = try run("--user", "www-data", image, command: ["bash", "-c", "id; cat from"])
                #expect(
                    user.out == "uid=33(www-data) gid=33(www-data) groups=33(www-data)\n" && user.code == 1, "\(user)")
            }
        }

        @Test(.enabled(if: DockerPlace.obstacle == nil, "\(DockerPlace.obstacle ?? "")"))
        func docker() throws {
            let debian = try DebianImage.get()
            try DockerPlace.use { place in
                #expect(try place.docker("load", "--input", debian.archive("docker")).code == 0)
                let run = ["run", "--runtime", "kvm", "--network", "none"]
                check(try place.docker(run + ["--rm", DebianImage.name, "bash", "-c", Self.script]))
                let name = ["--detach", "--name", "aa", DebianImage.name, "perl", "-e"]
                let server = "$SIG{TERM} = sub { print \"bye\\n\"; exit 7 }; $| = 1; print \"up\\n\"; sleep 1 while 1"
                #expect(try place.docker(run + name + [server]).code == 0)
                #expect(try eventually(within: 20) { try place.docker("logs", "aa").out == "up\n" })
                let exec = try place.docker(
                    "exec", "--user", "games", "aa", "bash", "-c", "id -un; echo x >/tmp/f; stat -c %U /tmp/f; exit 3")
                #expect(exec.code == 3 && exec.out == "games\ngames\n", "\(exec)")
                #expect(try place.docker("stop", "aa").code == 0)
                #expect(try place.docker("logs", "aa").out == "up\nbye\n")
                #expect(try place.docker("inspect", "aa", "--format", "{{.State.ExitCode}}").out == "7\n")
                // What a container has written is an image's, with its owner.
                #expect(try place.docker("commit", "aa", "committed").code == 0)
                let committed = try place.docker(run + ["--rm", "committed", "stat", "-c", "%U %s", "/tmp/f"])
                #expect(committed.out == "games 2\n", "\(committed)")
                #expect(try place.docker("rm", "aa").code == 0)
            }
        }
    }
}
