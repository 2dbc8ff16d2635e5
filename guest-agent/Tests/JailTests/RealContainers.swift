import Testing

/// Containers on this machine, one after the other: a child that another thread makes meanwhile would hold the
/// program open that is just being written, and to run that is "text file busy".
@Suite(.serialized, .enabled(if: TestContainer.obstacle == nil, "\(TestContainer.obstacle ?? "")"))
enum RealContainers {}
