internal import Models
internal import Settings

/// How one line is written: logfmt, or one JSON object whose first members are `time`, `level`, `service`, `instance` and
/// `message`. In JSON numbers are numbers and durations are seconds.
struct LogLine {
    let format: LogFormat
    let service: String
    let instance: String

    /// The line with its newline, `Log.longestLine` bytes at most: logfmt is cut there, JSON leaves out fields and says so.
    func bytes(
        _ time: Int64, _ level: LogLevel, _ message: StaticString, _ fields: KeyValuePairs<StaticString, LogValue>
    ) -> [UInt8] {
        switch format {
        case .logfmt: logfmt(time, level, message, fields)
        case .json: json(time, level, message, fields)
        }
    }

    private func logfmt(
        _ time: Int64, _ level: LogLevel, _ message: StaticString, _ fields: KeyValuePairs<StaticString, LogValue>
    ) -> [UInt8] {
        var line: [UInt8] = []
        line.reserveCapacity(160)
        Timestamp.append(time, to: &line)
        line.append(contentsOf: " \(level.rawValue) \(service)#\(instance) message=".utf8)
        LogValue.text(message).append(to: &line)
        for (key, value) in fields {
            line.append(0x20)
            line.append(contentsOf: key.description.utf8)
            line.append(0x3d)
            value.append(to: &line)
        }
        if line.count >= Log.longestLine { line.removeLast(line.count - Log.longestLine + 1) }
        line.append(0x0a)
        return line
    }

    private func json(
        _ time: Int64, _ level: LogLevel, _ message: StaticString, _ fields: KeyValuePairs<StaticString, LogValue>
    ) -> [UInt8] {
        let end = Array("}\n".utf8)
        let cut = Array(#","cut":true}"#.utf8) + [0x0a]
        var writer = JSONWriter(capacity: 200)
        writer.raw(#"{"time":"\#(Timestamp.text(time))","level":"\#(level.rawValue)","service":"#)
        writer.string(service)
        writer.raw(#","instance":"#)
        writer.string(instance)
        writer.raw(#","message":"#)
        writer.string(message.description)
        var line = writer.take()
        for (key, value) in fields {
            writer.raw(",\"\(key)\":")
            value.append(to: &writer)
            let field = writer.take()
            if line.count + field.count + cut.count > Log.longestLine { return line + cut }
            line += field
        }
        return line + end
    }
}
