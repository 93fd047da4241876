/// One event of a server-sent stream.
struct StreamedEvent: Equatable, Sendable {
    /// The last id that the stream gave, which may be of an earlier event.
    var id: String
    /// `message` where the stream names none.
    var name: String
    var data: String
}

/// Reads `text/event-stream` (HTML, section 9.2.6). Pure: any split of the input gives the same events.
struct EventStreamParser: Sendable {
    /// The longest line in bytes; a longer one is an error, since no event of ours comes near it.
    static let longestLine = 1 << 20

    struct TooLong: Error {}

    /// Milliseconds before the next attempt, once the stream has said so.
    private(set) var retry: Int?
    /// The id of the last whole event: one that was cut off must come again.
    private(set) var lastID = ""

    private var pendingID = ""
    private var line: [UInt8] = []
    private var endedInCR = false
    private var isFirstLine = true
    private var name = ""
    private var data: [String] = []

    init(lastID: String = "") {
        self.lastID = lastID
        pendingID = lastID
    }

    /// What the bytes complete.
    mutating func read(_ bytes: [UInt8]) throws(TooLong) -> [StreamedEvent] {
        var events: [StreamedEvent] = []
        for byte in bytes {
            if byte == 0x0a, endedInCR {
                endedInCR = false
                continue
            }
            endedInCR = byte == 0x0d
            if byte == 0x0d || byte == 0x0a {
                if let event = take(String(decoding: line, as: UTF8.self)) { events.append(event) }
                line.removeAll(keepingCapacity: true)
            } else {
                guard line.count < Self.longestLine else { throw TooLong() }
                line.append(byte)
            }
        }
        return events
    }

    private mutating func take(_ line: String) -> StreamedEvent? {
        var line = line[...]
        if isFirstLine, line.first == "\u{feff}" { line.removeFirst() }
        isFirstLine = false
        if line.isEmpty { return dispatch() }
        guard let colon = line.utf8.firstIndex(of: 0x3a) else {
            field(String(line), "")
            return nil
        }
        if colon == line.startIndex { return nil }
        var value = line[line.utf8.index(after: colon)...]
        if value.first == " " { value.removeFirst() }
        field(String(line[..<colon]), String(value))
        return nil
    }

    private mutating func field(_ field: String, _ value: String) {
        switch field {
        case "event": name = value
        case "data": data.append(value)
        case "id": if !value.utf8.contains(0) { pendingID = value }
        case "retry": if !value.isEmpty, value.utf8.allSatisfy({ (0x30...0x39).contains($0) }) { retry = Int(value) ?? retry }
        default: break
        }
    }

    private mutating func dispatch() -> StreamedEvent? {
        defer {
            name = ""
            data = []
        }
        lastID = pendingID
        if data.isEmpty { return nil }
        return StreamedEvent(id: lastID, name: name.isEmpty ? "message" : name, data: data.joined(separator: "\n"))
    }
}
