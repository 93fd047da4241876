internal import CUV

extension Array {
    /// Asks the processor to load what the references at this place point to (256 bytes of each), so that it is in the caches
    /// when it is read soon. Beyond the end it does nothing. It is for long runs over objects that have not been used for a
    /// while. The elements must be class references, or structs of nothing else.
    @inlinable
    public func fetchAhead(_ place: Int) {
        guard place >= 0, place < count else { return }
        // Read as bytes: taking a reference would count it, and so wait for the very memory.
        withUnsafeBytes { bytes in
            let size = MemoryLayout<Element>.stride
            fetchNamed(UnsafeRawBufferPointer(rebasing: bytes[place * size..<(place + 1) * size]))
        }
    }
}

@usableFromInline
func fetchNamed(_ references: UnsafeRawBufferPointer) {
    for offset in stride(from: 0, to: references.count, by: MemoryLayout<UnsafeRawPointer>.size) {
        carillon_fetch_ahead(references.load(fromByteOffset: offset, as: UnsafeRawPointer?.self))
    }
}
