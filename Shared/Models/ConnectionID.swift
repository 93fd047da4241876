/// One running process of a service: `<INSTANCE_ID>#<epoch>`, the epoch 16 hexadecimal digits.
public struct InstanceID: Hashable, Sendable, CustomStringConvertible {
    public let text: String

    /// INSTANCE_ID. It stays the same when the process is started again.
    public var name: Substring { text.prefix { $0 != "#" } }

    public init?(name: String, epoch: UInt64) {
        let digits = String(epoch, radix: 16)
        self.init(name + "#" + String(repeating: "0", count: 16 - digits.count) + digits)
    }

    /// Nil if the text is not an instance. A space would end the name in `connections:…`, and a brace would move its keys to
    /// another slot.
    public init?(_ text: String) {
        let parts = text.split(separator: "#", omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty, parts[0].utf8.count <= 128, parts[1].utf8.count == 16,
            parts[1].utf8.allSatisfy({ hexadecimalDigit($0) != nil }),
            parts[0].utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && !"{}|\"\\".utf8.contains($0) })
        else { return nil }
        self.text = text
    }

    public var description: String { text }
}

/// One client's connection: `<instance>.<index>.<generation>`. Index and generation address the gateway's slab.
public struct ConnectionID: Hashable, Sendable, CustomStringConvertible {
    public let instance: InstanceID
    public let index: UInt32
    public let generation: UInt32

    public init(instance: InstanceID, index: UInt32, generation: UInt32) {
        self.instance = instance
        self.index = index
        self.generation = generation
    }

    /// Nil if the text is not a connection. An instance may hold dots itself, so the last two parts count.
    public init?(_ text: String) {
        let bytes = text.utf8Span.span
        guard let split = Self.split(bytes), let instance = InstanceID(JSON.text(bytes, 0..<split)) else { return nil }
        var at = split + 1
        guard let local = LocalConnection.read(bytes, &at), at == bytes.count else { return nil }
        self.init(instance: instance, index: local.index, generation: local.generation)
    }

    /// The index of the dot behind the instance; nil with fewer than two dots.
    public static func split(_ bytes: Span<UInt8>) -> Int? {
        var index = bytes.count - 1
        var dots = 0
        while index > 0 {
            if bytes[index] == UInt8(ascii: ".") {
                dots += 1
                if dots == 2 { return index }
            }
            index -= 1
        }
        return nil
    }

    public var description: String { "\(instance).\(index).\(generation)" }
}

/// A connection as its own gateway names it: `<index>.<generation>`.
public struct LocalConnection: Hashable, Sendable {
    public var index: UInt32
    public var generation: UInt32

    /// The recipient of a control line for all connections of a gateway. Generation 0 is never in use, so no client has this
    /// name.
    public static let everyone = LocalConnection(index: 0, generation: 0)

    public init(index: UInt32, generation: UInt32) {
        self.index = index
        self.generation = generation
    }

    static func read(_ bytes: Span<UInt8>, _ at: inout Int) -> LocalConnection? {
        guard let index = readDigits(bytes, &at).flatMap({ UInt32(exactly: $0) }), at < bytes.count,
            bytes[at] == UInt8(ascii: ".")
        else { return nil }
        at &+= 1
        guard let generation = readDigits(bytes, &at).flatMap({ UInt32(exactly: $0) }) else { return nil }
        return LocalConnection(index: index, generation: generation)
    }

    func append(to bytes: inout [UInt8]) {
        appendDigits(UInt64(index), to: &bytes)
        bytes.append(UInt8(ascii: "."))
        appendDigits(UInt64(generation), to: &bytes)
    }
}
