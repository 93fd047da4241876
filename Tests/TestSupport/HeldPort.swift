internal import Glibc

/// A TCP port of loopback that is a test's own for as long as this object lives, also while the server that it is for is down:
/// the kernel gives it to nobody else. It is bound here and nobody listens, so that a connection to it is refused, until a server
/// binds it as well, which takes SO_REUSEADDR there (redis-server, Java and asyncio set it).
public final class HeldPort: Sendable {
    public let number: Int
    private let descriptor: Int32

    public struct NotHeld: Error {}

    public init() throws {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var yes: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 ? getsockname(descriptor, $0, &length) : -1
            }
        }
        guard status == 0 else {
            close(descriptor)
            throw NotHeld()
        }
        self.descriptor = descriptor
        number = Int(UInt16(bigEndian: address.sin_port))
    }

    deinit { close(descriptor) }
}
