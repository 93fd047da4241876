// What must hold of messages to gateways for any bytes at all. Tests/Fuzz compiles this file too.
import Models

/// What is wrong with what is read of `input`, or nil: what was read, written again, means the same.
func faultOfGatewayMessages(_ input: [UInt8]) -> String? {
    guard let message = Message(input) else { return nil }
    if Message(message.written) != message { return "written again it means something else" }
    for line in message.lines where line.recipients.isEmpty {
        let framed = Array("[]\n".utf8) + line.notification
        let own = try? ChannelLine.read(line.notification.span, 0..<line.notification.count)
        let within = try? ChannelLine.read(framed.span, 3..<framed.count)
        if own?.channel != within?.channel || own?.accepted != within?.accepted || own?.priority != within?.priority {
            return "a line of a channel means something else where it stands"
        }
        if let own, let within, text(own, line.notification) != text(within, framed) { return "a post is another where it stands" }
    }
    return nil
}

/// The bytes that a line of a channel carries.
private func text(_ line: ChannelLine, _ bytes: [UInt8]) -> [UInt8]? {
    switch line.kind {
    case .post(_, let range), .join(let range), .leave(let range): Array(bytes[range])
    case .unknown: nil
    }
}

private struct Message: Equatable {
    struct Line: Equatable {
        var recipients: [GatewayRecipient] = []
        var notification: [UInt8]
    }

    var sequence: UInt64
    var lines: [Line] = []

    init?(_ input: [UInt8]) {
        let bytes = input.span
        var at = 0
        do {
            sequence = try GatewayMessage.head(bytes, &at).sequence
            while let pair = try GatewayMessage.pair(bytes, &at) {
                var line = Line(notification: Array(input[pair.notification]))
                var each = pair.recipients.lowerBound
                var recipients = try GatewayRecipients(bytes, &each)
                while var recipient = try recipients.next(bytes, &each) {
                    // A time before 1970 is written as 0.
                    recipient.accepted = max(0, recipient.accepted)
                    line.recipients.append(recipient)
                }
                lines.append(line)
            }
        } catch {
            return nil
        }
    }

    var written: [UInt8] {
        var bytes = GatewayMessage.head(sequence: sequence)
        for line in lines {
            var batch = GatewayBatch()
            for recipient in line.recipients {
                batch.recipient(recipient.connection, recipient.position, accepted: recipient.accepted, priority: recipient.priority)
            }
            if line.recipients.isEmpty {
                bytes += Array("[]\n".utf8) + line.notification + [0x0A]
            } else {
                batch.end(line.notification, 0..<line.notification.count)
                bytes += batch.lines
            }
        }
        return bytes
    }
}
