import AgentProtocol
import VMMWire

/// inotify across the border: the agent says what is watched in the guest, the file system device what the host has
/// changed, and the agent makes that change once more for the guest's kernel.
extension Supervisor {
    /// Only binds: nobody but the container is to change its rootfs.
    func watch(_ files: WatchedFiles) {
        guard bindNames.contains(files.tree) || members.values.contains(where: { $0.trees.contains(files.tree) }),
            files.inodes.count <= TreeMessage.mostWatched
        else { return }
        machine?.watch(tree: files.tree, inodes: files.inodes)
    }

    func tellAgent(_ change: FileChange) {
        guard let kind = FileChanged.Kind(rawValue: change.kind.rawValue), let agent, phase >= .created,
            phase < .ending
        else {
            machine?.fileChangeHandled()
            return
        }
        let message = FileChanged(
            kind: kind, tree: change.tree, directory: change.place.directory, name: change.place.name,
            newDirectory: change.newPlace.directory, newName: change.newPlace.name, fileKind: change.fileKind)
        // Whatever became of it, the next one may come.
        agent.send(.fileChanged(message)) { [weak self] _ in self?.machine?.fileChangeHandled() }
    }
}
