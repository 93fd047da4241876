// What must hold of the Protobuf codec for any bytes at all. Tests/Fuzz compiles this file too.
import Centrifuge

/// What is wrong with what the decoder makes of `input`, or nil: a frame means what its messages mean one by one, and a field
/// that nobody knows changes nothing.
func faultOfProtobufCommands(_ input: [UInt8]) -> String? {
    let whole = decoded(input)
    guard let messages = split(input) else { return whole == nil ? nil : "a length beyond the frame is taken" }
    var parts: [Command]? = messages.isEmpty ? nil : []
    for message in messages {
        let commands = decoded(framed(message))
        if let commands, commands.count != 1 { return "one message, \(commands.count) commands" }
        let unknown: [UInt8] = [0xA0, 0x06, 0x01]
        if commands != nil, !message.isEmpty, decoded(framed(message + unknown)) != commands { return "an unknown field has a meaning" }
        if let command = commands?.first { parts?.append(command) } else { parts = nil }
    }
    if parts != whole { return "its messages one by one mean something else" }
    if let whole, whole.count > 1, (try? Codec.protobuf.decode(input.span, limit: 1)) != [whole[0]] { return "a limit of 1 is not kept" }
    return nil
}

private func decoded(_ bytes: [UInt8]) -> [Command]? { try? Codec.protobuf.decode(bytes.span) }

/// The message behind its length.
private func framed(_ message: [UInt8]) -> [UInt8] {
    var length: [UInt8] = []
    var rest = message.count
    while rest >= 0x80 {
        length.append(UInt8(rest & 0x7F) | 0x80)
        rest >>= 7
    }
    return length + [UInt8(rest)] + message
}

/// The messages of a frame; nil if its lengths do not fit it.
private func split(_ input: [UInt8]) -> [[UInt8]]? {
    var messages: [[UInt8]] = []
    var at = 0
    while at < input.count {
        var (length, shift) = (UInt64(0), UInt64(0))
        while true {
            guard at < input.count, shift < 63 || shift == 63 && input[at] <= 1 else { return nil }
            length |= UInt64(input[at] & 0x7F) << shift
            shift += 7
            at += 1
            if input[at - 1] < 0x80 { break }
        }
        guard length <= UInt64(input.count - at) else { return nil }
        messages.append(Array(input[at..<at + Int(length)]))
        at += Int(length)
    }
    return messages
}
