// What must hold of the frame parser for any bytes at all. Tests/Fuzz compiles this file too, beside the parser's sources.
#if !FUZZING
    import TestSupport

    @testable import WebSocket
#endif

/// What is wrong with what the parser makes of `input`, or nil. The first byte chooses the limit of a message's size, and
/// whether messages may be compressed.
func faultOfFrames(_ input: [UInt8]) -> String? {
    guard let first = input.first else { return nil }
    let limit = 16 << Int(first & 7)
    let bytes = Array(input.dropFirst())
    let parser = WebSocketParser(allowsCompression: first & 8 != 0)
    let whole = FrameReading([bytes], parser, limit: limit)
    for pieces in splits(of: bytes) where FrameReading(pieces, parser, limit: limit) != whole {
        return "split into \(pieces.map(\.count)) it reads otherwise"
    }
    for (index, event) in whole.events.enumerated() {
        switch event {
        case .text(let text):
            if text.count > limit { return "a message over the limit" }
            if String(validating: text, as: UTF8.self) == nil { return "text that is not UTF-8" }
        case .compressed(let data, _):
            if data.count > limit { return "a message over the limit" }
            if !parser.allowsCompression { return "a compressed message that was not agreed on" }
        case .binary(let data): if data.count > limit { return "a message over the limit" }
        case .ping(let data), .pong(let data): if data.count > 125 { return "a control frame over 125 bytes" }
        case .close: if index != whole.events.count - 1 || whole.violation != nil { return "something behind a close" }
        }
    }
    return nil
}

/// All that comes of pieces that arrive one after another.
private struct FrameReading: Equatable {
    var events: [WebSocketEvent] = []
    var violation: WebSocketViolation?
    var isIdle = true

    init(_ pieces: [[UInt8]], _ fresh: WebSocketParser, limit: Int) {
        var parser = fresh
        do {
            for piece in pieces {
                var offset = 0
                while let event = try parser.next(piece.span, at: &offset, limit: limit) { events.append(event) }
            }
        } catch {
            violation = error
        }
        isIdle = parser.isIdle
    }
}
