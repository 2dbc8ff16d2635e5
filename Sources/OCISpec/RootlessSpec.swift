extension Spec {
    /// What `runc spec --rootless` makes of it: a user namespace in which one user is root, no network of its own, the
    /// host's /sys, no limits.
    public func rootless(uid: UInt32, gid: UInt32) -> Spec {
        var spec = self
        var linux = self.linux ?? Linux()
        linux.namespaces.removeAll { $0.type == .network || $0.type == .user }
        linux.namespaces.append(.init(.user))
        linux.uidMappings = [.init(containerID: 0, hostID: uid, size: 1)]
        linux.gidMappings = [.init(containerID: 0, hostID: gid, size: 1)]
        linux.resources = nil
        spec.linux = linux
        spec.mounts = mounts.map { mount in
            if mount.destination == "/sys" {
                return Mount(
                    destination: "/sys", type: "none", source: "/sys",
                    options: ["rbind", "nosuid", "noexec", "nodev", "ro"])
            }
            var mount = mount
            mount.options.removeAll { $0.hasPrefix("gid=") || $0.hasPrefix("uid=") }
            return mount
        }
        return spec
    }
}
