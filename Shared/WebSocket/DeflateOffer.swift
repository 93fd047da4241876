/// What a client offers of permessage-deflate, and what is answered (RFC 7692 section 7.1). Pure.
///
/// An offer is accepted if this server can keep it without memory between messages: both sides start each message with an empty
/// window, and the window of the server is `MessageDeflate.windowBits`.
struct DeflateOffer: Equatable {
    /// The client wants to be told the server's window.
    var namesServerWindow = false

    /// The first acceptable offer of the field `Sec-WebSocket-Extensions`, whose value is a list; nil if there is none.
    static func first(in field: String) -> DeflateOffer? {
        for offer in split(field, at: ",") {
            let parts = split(offer, at: ";").map { $0.trimmingBlanks() }
            guard parts.first?.lowercased() == "permessage-deflate" else { continue }
            if let offer = DeflateOffer(parameters: Array(parts.dropFirst())) { return offer }
        }
        return nil
    }

    /// Nil if a parameter is unknown, stands twice, has no valid value, or asks for less than the server can do with.
    private init?(parameters: [Substring]) {
        var seen: Set<String> = []
        for parameter in parameters {
            let parts = parameter.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = parts[0].trimmingBlanks().lowercased()
            let value = parts.count > 1 ? Self.unquoted(parts[1].trimmingBlanks()) : nil
            guard seen.insert(name).inserted else { return nil }
            switch name {
            case "server_no_context_takeover", "client_no_context_takeover": if parts.count > 1 { return nil }
            case "server_max_window_bits":
                guard let bits = Self.windowBits(value), bits >= MessageDeflate.windowBits else { return nil }
                namesServerWindow = true
            case "client_max_window_bits":
                // This is a hint. The server can read whatever window the client chooses.
                if parts.count > 1, Self.windowBits(value) == nil { return nil }
            default: return nil
            }
        }
    }

    /// The response's field value.
    var answer: String {
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
            + (namesServerWindow ? "; server_max_window_bits=\(MessageDeflate.windowBits)" : "")
    }

    /// 8 to 15, without a leading zero (section 7.1.2.1).
    private static func windowBits(_ value: Substring?) -> Int32? {
        guard let value, let bits = Int32(value), (8...15).contains(bits), value == "\(bits)" else { return nil }
        return bits
    }

    /// A value may stand as a token or as a quoted string (RFC 6455 section 9.1).
    private static func unquoted(_ value: Substring) -> Substring {
        guard value.count >= 2, value.first == "\"", value.last == "\"" else { return value }
        return value.dropFirst().dropLast()
    }

    /// Splits a list at separators outside of quotes.
    private static func split(_ text: some StringProtocol, at separator: Character) -> [Substring] {
        var isQuoted = false
        return Substring(text).split(omittingEmptySubsequences: true) { character in
            if character == "\"" { isQuoted.toggle() }
            return character == separator && !isQuoted
        }
    }
}

extension Substring {
    fileprivate func trimmingBlanks() -> Substring {
        var rest = self
        while let first = rest.first, first == " " || first == "\t" { rest = rest.dropFirst() }
        while let last = rest.last, last == " " || last == "\t" { rest = rest.dropLast() }
        return rest
    }
}
