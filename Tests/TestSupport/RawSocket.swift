internal import Glibc

/// A blocking TCP client without any protocol, for tests that look at bytes as they pass. Use it off the loop's thread.
public final class RawSocket: @unchecked Sendable {
    // @unchecked: one test uses it from one task at a time.
    private var descriptor: Int32
    /// What has arrived and was not yet taken.
    public private(set) var buffer: [UInt8] = []
    /// Whether the peer has closed, or reset, the connection.
    public private(set) var isEnded = false

    /// Connects to 127.0.0.1; nil if nobody listens.
    public init?(port: Int, receiveBuffer: Int32? = nil) {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        if var size = receiveBuffer {
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
        }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(UInt16(truncatingIfNeeded: port).bigEndian)
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        if status != 0 {
            Glibc.close(descriptor)
            descriptor = -1
            return nil
        }
    }

    deinit { close() }

    public func close() {
        if descriptor >= 0 { Glibc.close(descriptor) }
        descriptor = -1
    }

    public func send(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count <= 0 { return }
            rest = rest.dropFirst(count)
        }
    }

    public func send(_ text: String) { send(Array(text.utf8)) }

    /// Waits at most `milliseconds` for more bytes; false if none came.
    @discardableResult
    public func fill(milliseconds: Int32 = 30_000) -> Bool {
        guard descriptor >= 0, !isEnded else { return false }
        var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard Glibc.poll(&poll, 1, milliseconds) > 0 else { return false }
        var chunk = [UInt8](repeating: 0, count: 65_536)
        let count = recv(descriptor, &chunk, chunk.count, 0)
        if count <= 0 {
            isEnded = true
            return false
        }
        buffer.append(contentsOf: chunk[..<count])
        return true
    }

    /// Takes bytes up to and with `marker`; nil if it does not come in time.
    public func take(through marker: String, milliseconds: Int32 = 30_000) -> String? {
        let wanted = Array(marker.utf8)
        var searched = 0
        while true {
            if buffer.count >= wanted.count {
                for start in searched...(buffer.count - wanted.count)
                where buffer[start] == wanted[0] && buffer[start..<start + wanted.count].elementsEqual(wanted) {
                    return String(decoding: take(start + wanted.count) ?? [], as: UTF8.self)
                }
                searched = buffer.count - wanted.count + 1
            }
            guard fill(milliseconds: milliseconds) else { return nil }
        }
    }

    /// Takes so many bytes; nil if they do not come in time.
    public func take(_ count: Int, milliseconds: Int32 = 30_000) -> [UInt8]? {
        while buffer.count < count {
            guard fill(milliseconds: milliseconds) else { return nil }
        }
        let taken = Array(buffer[..<count])
        buffer.removeFirst(count)
        return taken
    }

    /// All that comes until the peer closes.
    public func takeAll(milliseconds: Int32 = 30_000) -> String {
        while fill(milliseconds: milliseconds) {}
        defer { buffer = [] }
        return String(decoding: buffer, as: UTF8.self)
    }
}
