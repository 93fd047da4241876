/// Requests of one connection, from its bytes (RFC 9112). Pure: it knows no socket, and any split of the input gives
/// the same requests and the same error. What could be read in two ways is refused: a bare CR or LF, folded fields,
/// white space before a colon, Content-Length twice or beside Transfer-Encoding.
public struct HTTPRequestParser: Sendable {
    private enum Phase: Sendable {
        case requestLine, fields, body(remaining: Int), chunkSize, chunkData(remaining: Int), chunkEnd, trailers
    }

    private let limits: HTTPLimits
    private var phase = Phase.requestLine
    private var failure: HTTPError?
    /// The line that is being read, without its CRLF.
    private var line: [UInt8] = []
    private var sawCR = false
    private var blankLines = 0
    private var fieldBytes = 0
    private var requestLine: RequestLine?
    private var fields = HTTPFields()
    private var trailerCount = 0
    private var body: [UInt8] = []

    /// Whether the client waits for `100 Continue` before it sends the content (RFC 9110 section 10.1.1).
    public private(set) var awaitsContinue = false

    public init(limits: HTTPLimits) { self.limits = limits }

    /// Whether nothing of an unfinished request is held.
    public var isIdle: Bool {
        if case .requestLine = phase { return line.isEmpty && !sawCR }
        return false
    }

    /// What has come so far of the fields of the request that is being read: for the answer that refuses it.
    var fieldsSoFar: HTTPFields { fields }

    /// Reads from `offset` on, moves it past what was taken, and returns a request as soon as it is complete; nil when
    /// more bytes are needed. After an error the parser stays failed.
    public mutating func next(_ bytes: Span<UInt8>, at offset: inout Int) throws(HTTPError) -> HTTPRequest? {
        if let failure { throw failure }
        do {
            while offset < bytes.count {
                if try step(bytes, at: &offset) { return finish() }
            }
            return nil
        } catch {
            failure = error
            throw error
        }
    }

    /// Takes one line, or a run of content; true when the request is complete.
    private mutating func step(_ bytes: Span<UInt8>, at offset: inout Int) throws(HTTPError) -> Bool {
        switch phase {
        case .body(let remaining):
            awaitsContinue = false
            let left = take(remaining, from: bytes, at: &offset)
            phase = .body(remaining: left)
            return left == 0
        case .chunkData(let remaining):
            let left = take(remaining, from: bytes, at: &offset)
            phase = left == 0 ? .chunkEnd : .chunkData(remaining: left)
            return false
        default:
            if case .chunkSize = phase { awaitsContinue = false }
            guard try readLine(bytes, at: &offset) else { return false }
            let complete = line
            line.removeAll(keepingCapacity: true)
            return try accept(complete[...])
        }
    }

    private mutating func take(_ wanted: Int, from bytes: Span<UInt8>, at offset: inout Int) -> Int {
        let count = min(wanted, bytes.count - offset)
        for index in offset..<(offset + count) { body.append(bytes[index]) }
        offset += count
        return wanted - count
    }

    /// Collects bytes up to CRLF; true when the line stands in `line`.
    private mutating func readLine(_ bytes: Span<UInt8>, at offset: inout Int) throws(HTTPError) -> Bool {
        while offset < bytes.count {
            let byte = bytes[offset]
            offset += 1
            if sawCR {
                guard byte == 0x0A else { throw .malformed("A carriage return stands alone.") }
                sawCR = false
                return true
            }
            switch byte {
            case 0x0D: sawCR = true
            case 0x0A: throw .malformed("A line ends without a carriage return.")
            default:
                line.append(byte)
                try checkLength()
            }
        }
        return false
    }

    private mutating func checkLength() throws(HTTPError) {
        switch phase {
        case .requestLine where line.count > limits.requestLine:
            throw HTTPError(
                status: 414, name: "request_line_too_long",
                detail: "The request line is longer than \(limits.requestLine) bytes.")
        case .fields, .trailers:
            fieldBytes += 1
            if fieldBytes > limits.headerBytes {
                throw HTTPError(
                    status: 431, name: "headers_too_large",
                    detail: "The header fields are larger than \(limits.headerBytes) bytes.")
            }
        case .chunkSize where line.count > limits.chunkLine:
            throw .malformed("A chunk-size line is longer than \(limits.chunkLine) bytes.")
        case .chunkEnd:
            throw .malformed("A chunk is longer than its size says.")
        default: break
        }
    }

    private mutating func accept(_ line: ArraySlice<UInt8>) throws(HTTPError) -> Bool {
        switch phase {
        case .requestLine:
            if line.isEmpty {
                // One empty line may precede a request (RFC 9112 section 2.2). An endless row of them is not a request.
                blankLines += 1
                guard blankLines <= 2 else { throw .malformed("The request begins with empty lines.") }
                return false
            }
            requestLine = try RequestLine(line)
            phase = .fields
            return false
        case .fields:
            if line.isEmpty { return try beginContent() }
            let (name, value) = try field(line)
            fields.append(name: name, value: value)
            return false
        case .chunkSize: return try acceptChunkSize(line)
        case .chunkEnd:
            phase = .chunkSize
            return false
        case .trailers:
            if line.isEmpty { return true }
            _ = try field(line)  // A trailer is checked like a field and then dropped: nothing here asks for one.
            trailerCount += 1
            return false
        case .body, .chunkData: return false
        }
    }

    private func field(_ line: ArraySlice<UInt8>) throws(HTTPError) -> (ArraySlice<UInt8>, ArraySlice<UInt8>) {
        guard fields.count + trailerCount < limits.headerCount else {
            throw HTTPError(
                status: 431, name: "headers_too_large",
                detail: "There are more than \(limits.headerCount) header fields.")
        }
        if line.first == 0x20 || line.first == 0x09 { throw .malformed("A header field is folded.") }
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > line.startIndex,
            line[..<colon].allSatisfy(isTokenByte)
        else { throw .malformed("A header field's name is not a token followed by a colon.") }
        let value = trim(line[(colon + 1)...])
        guard value.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }) else {
            throw .malformed("A header field's value holds a control character.")
        }
        return (line[..<colon], value)
    }

    /// What follows the fields (RFC 9112 section 6); true if nothing does.
    private mutating func beginContent() throws(HTTPError) -> Bool {
        let minorVersion = requestLine?.minorVersion ?? 1
        let hosts = fields.indices("host").count
        guard hosts == 1 || hosts == 0 && minorVersion == 0 else {
            throw .malformed("There must be exactly one Host field.")
        }
        let chunked = try isChunked(minorVersion)
        let length = try contentLength()
        if chunked, length != nil { throw .malformed("Content-Length and Transfer-Encoding exclude each other.") }
        if !chunked, (length ?? 0) == 0 { return true }
        if let length, length > limits.bodyBytes { throw tooLarge }
        try readExpectation(minorVersion)
        phase = chunked ? .chunkSize : .body(remaining: length ?? 0)
        return false
    }

    private func isChunked(_ minorVersion: Int) throws(HTTPError) -> Bool {
        let lines = fields.indices("transfer-encoding")
        if lines.isEmpty { return false }
        guard minorVersion >= 1 else { throw .malformed("HTTP/1.0 has no Transfer-Encoding.") }
        guard lines.count == 1, fields.value(lines[0]).map(lowercase).elementsEqual("chunked".utf8) else {
            throw HTTPError(
                status: 501, name: "transfer_coding_unknown", detail: "The only transfer coding here is chunked.")
        }
        return true
    }

    private func contentLength() throws(HTTPError) -> Int? {
        let lines = fields.indices("content-length")
        guard let only = lines.first else { return nil }
        let digits = fields.value(only)
        guard lines.count == 1, !digits.isEmpty,
            digits.allSatisfy({ $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") })
        else { throw .malformed("Content-Length is not one number.") }
        var value = 0
        for digit in digits {
            value = value * 10 + Int(digit - UInt8(ascii: "0"))
            if value > limits.bodyBytes { throw tooLarge }
        }
        return value
    }

    private mutating func readExpectation(_ minorVersion: Int) throws(HTTPError) {
        let expectations = fields.tokens("expect")
        if expectations.isEmpty || minorVersion == 0 { return }
        guard expectations == ["100-continue"] else {
            throw HTTPError(
                status: 417, name: "expectation_failed", detail: "The only expectation known here is 100-continue.")
        }
        awaitsContinue = true
    }

    private mutating func acceptChunkSize(_ line: ArraySlice<UInt8>) throws(HTTPError) -> Bool {
        let digits = line.prefix { PercentCoding.hexValue($0) != nil }
        let rest = trim(line[digits.endIndex...])
        guard !digits.isEmpty, rest.isEmpty || rest.first == UInt8(ascii: ";"),
            rest.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 })
        else { throw .malformed("A chunk size is not a hexadecimal number.") }
        var size = 0
        for digit in digits {
            size = size << 4 | Int(PercentCoding.hexValue(digit) ?? 0)
            if size > limits.bodyBytes - body.count { throw tooLarge }
        }
        phase = size == 0 ? .trailers : .chunkData(remaining: size)
        return false
    }

    private var tooLarge: HTTPError {
        HTTPError(
            status: 413, name: "content_too_large", detail: "The content is larger than \(limits.bodyBytes) bytes.")
    }

    private mutating func finish() -> HTTPRequest? {
        guard let requestLine else { return nil }
        let request = HTTPRequest(line: requestLine, fields: fields, body: body)
        self = HTTPRequestParser(limits: limits)
        return request
    }
}
