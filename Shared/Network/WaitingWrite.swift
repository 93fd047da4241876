internal import CUV

/// A copied piece of output that waits in libuv, with its request.
final class WaitingWrite {
    let raw = UnsafeMutablePointer<uv_write_t>.allocate(capacity: 1)
    let bytes: UnsafeMutableRawBufferPointer

    init(capacity: Int) { bytes = .allocate(byteCount: capacity, alignment: 1) }

    deinit {
        raw.deallocate()
        bytes.deallocate()
    }

    /// Retained until `detach`, which the write's callback calls.
    func attach() -> UnsafeMutablePointer<uv_write_t> {
        raw.pointee.data = Unmanaged.passRetained(self).toOpaque()
        return raw
    }

    static func detach(_ raw: UnsafeMutablePointer<uv_write_t>) -> WaitingWrite {
        Unmanaged<WaitingWrite>.fromOpaque(raw.pointee.data).takeRetainedValue()
    }
}
