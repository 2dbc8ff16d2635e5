/// C strings that live as long as this object.
final class CStrings {
    private var pointers: [UnsafeMutablePointer<CChar>] = []

    func add(_ text: String) -> UnsafeMutablePointer<CChar> {
        let bytes = text.utf8CString
        let pointer = UnsafeMutablePointer<CChar>.allocate(capacity: bytes.count)
        _ = UnsafeMutableBufferPointer(start: pointer, count: bytes.count).update(fromContentsOf: bytes)
        pointers.append(pointer)
        return pointer
    }

    deinit { for pointer in pointers { pointer.deallocate() } }
}
