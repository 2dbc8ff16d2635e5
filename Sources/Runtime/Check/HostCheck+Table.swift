extension HostCheck {
    /// Aligned columns for people; what to do is below each item that is not well.
    public func table() -> String {
        let header = ("NAME", "STATUS", "DETAIL")
        let nameWidth = items.map(\.name.count).reduce(header.0.count, max) + 2
        let statusWidth = items.map(\.status.rawValue.count).reduce(header.1.count, max) + 2
        var text = pad(header.0, nameWidth) + pad(header.1, statusWidth) + header.2 + "\n"
        for item in items {
            text += pad(item.name, nameWidth) + pad(item.status.rawValue, statusWidth) + item.detail + "\n"
            guard item.status != .ok, let advice = item.advice else { continue }
            text += String(repeating: " ", count: nameWidth + statusWidth) + "-> " + advice + "\n"
        }
        return text + "\n" + summary + "\n"
    }

    /// The table's last line.
    public var summary: String {
        let blocking = items.filter { !$0.allowsRunning }.map(\.name)
        return blocking.isEmpty
            ? "Containers can run here." : "No container can run here: \(blocking.joined(separator: ", "))."
    }

    private func pad(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }
}
