/// Where commands are written for Redis: one buffer a connection, sent once a turn of the loop (RESP2, requests).
///
/// It owns its memory and cannot be copied, so that writing costs no reference counting. Not for use by two threads.
@safe public struct RESPWriter: ~Copyable {
    private var memory: UnsafeMutableRawPointer
    private var capacity: Int
    /// Bytes written since the last `take`.
    public private(set) var count = 0
    /// Arguments that the command begun last still lacks; 0 when it is whole.
    public private(set) var missing = 0

    /// What is kept of the buffer after a burst.
    private static let restingCapacity = 65_536

    public init() {
        capacity = 4_096
        memory = .allocate(byteCount: capacity, alignment: 16)
    }

    deinit { memory.deallocate() }

    // MARK: Commands

    /// Begins a command of so many arguments, its name among them; exactly as many must follow.
    public mutating func begin(arguments: Int) {
        assert(missing == 0, "the command before lacks \(missing) arguments")
        missing = arguments
        header(UInt8(ascii: "*"), arguments)
    }

    /// One argument.
    public mutating func argument(_ bytes: [UInt8]) {
        beginArgument(length: bytes.count)
        append(bytes)
        endArgument()
    }

    /// One argument: a part of the bytes.
    public mutating func argument(_ bytes: [UInt8], _ range: Range<Int>) {
        beginArgument(length: range.count)
        bytes.withUnsafeBytes { append(UnsafeRawBufferPointer(rebasing: $0[range])) }
        endArgument()
    }

    /// One argument.
    public mutating func argument(_ text: String) {
        beginArgument(length: text.utf8.count)
        append(text)
        endArgument()
    }

    /// One argument that the program itself contains.
    public mutating func argument(_ text: StaticString) {
        beginArgument(length: text.utf8CodeUnitCount)
        append(text)
        endArgument()
    }

    /// One argument, in decimal.
    public mutating func argument(_ number: Int64) {
        beginArgument(length: Self.digits(number))
        append(number)
        endArgument()
    }

    /// One argument of known length that is written in pieces with `append`, then `endArgument`.
    public mutating func beginArgument(length: Int) {
        header(UInt8(ascii: "$"), length)
    }

    public mutating func endArgument() {
        assert(missing > 0, "an argument too many")
        missing -= 1
        lineEnd()
    }

    /// Arguments written elsewhere in RESP's own form.
    mutating func rawArguments(_ bytes: [UInt8], count: Int) {
        assert(missing >= count, "an argument too many")
        missing -= count
        append(bytes)
    }

    // MARK: Pieces

    public mutating func append(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { append($0) }
    }

    public mutating func append(_ text: String) {
        var text = text
        text.withUTF8 { append(UnsafeRawBufferPointer($0)) }
    }

    public mutating func append(_ text: StaticString) {
        text.withUTF8Buffer { append(UnsafeRawBufferPointer($0)) }
    }

    public mutating func append(_ number: Int64) {
        reserve(20)
        var rest = number.magnitude
        var end = count + Self.digits(number)
        let next = end
        repeat {
            end -= 1
            memory.storeBytes(of: UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10), toByteOffset: end, as: UInt8.self)
            rest /= 10
        } while rest > 0
        if number < 0 { memory.storeBytes(of: UInt8(ascii: "-"), toByteOffset: count, as: UInt8.self) }
        count = next
    }

    /// How many bytes `append` of this number writes.
    public static func digits(_ number: Int64) -> Int {
        var length = number < 0 ? 2 : 1
        var rest = number.magnitude
        while rest > 9 {
            rest /= 10
            length += 1
        }
        return length
    }

    private mutating func append(_ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress, bytes.count > 0 else { return }
        reserve(bytes.count)
        (memory + count).copyMemory(from: base, byteCount: bytes.count)
        count += bytes.count
    }

    private mutating func header(_ kind: UInt8, _ number: Int) {
        reserve(1)
        memory.storeBytes(of: kind, toByteOffset: count, as: UInt8.self)
        count += 1
        append(Int64(number))
        lineEnd()
    }

    private mutating func lineEnd() {
        reserve(2)
        memory.storeBytes(of: UInt8(ascii: "\r"), toByteOffset: count, as: UInt8.self)
        memory.storeBytes(of: UInt8(ascii: "\n"), toByteOffset: count + 1, as: UInt8.self)
        count += 2
    }

    // MARK: Memory

    private mutating func reserve(_ more: Int) {
        guard count + more > capacity else { return }
        resize(max(capacity * 2, count + more))
    }

    private mutating func resize(_ size: Int) {
        let larger = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 16)
        larger.copyMemory(from: memory, byteCount: min(count, size))
        memory.deallocate()
        memory = larger
        capacity = size
    }

    /// Everything written since the last time, in one piece; the buffer is empty afterwards.
    public mutating func take() -> [UInt8] {
        let bytes = [UInt8](UnsafeRawBufferPointer(start: memory, count: count))
        count = 0
        if capacity > Self.restingCapacity { resize(Self.restingCapacity) }
        return bytes
    }
}
