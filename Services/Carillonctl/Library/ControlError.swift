/// Why a command ends without having done its work: one line, what to do about it, and the status to exit with.
struct ControlError: Error, Sendable {
    let text: String
    let remedy: String?
    let status: Int32

    init(_ text: String, remedy: String? = nil, status: Int32 = Status.failed) {
        self.text = text
        self.remedy = remedy
        self.status = status
    }

    static func usage(_ text: String) -> ControlError { ControlError(text, status: Status.usage) }
}

/// What the process ends with.
enum Status {
    static let done: Int32 = 0
    static let failed: Int32 = 1
    static let usage: Int32 = 64  // EX_USAGE of sysexits.h
    static let data: Int32 = 65  // EX_DATAERR: what was to be produced is no event
    static let configuration: Int32 = 78  // EX_CONFIG
}
