import Settings

/// What may wait for a client that reads slowly, and how much is read for it at a time.
struct SendSettings {
    static let bytesSetting = Setting(
        "SEND_BUFFER_BYTES", .size(4096...16_777_216), default: "64KB",
        help: "Bytes waiting for a slow client's socket beyond which it is served from the inbox")
    static let messagesSetting = Setting(
        "SEND_BUFFER_MESSAGES", .integer(1...100_000), default: "100",
        help: "Messages waiting for a slow client's socket beyond which it is served from the inbox")
    static let timeSetting = Setting(
        "SEND_BUFFER_TIME", .duration(.seconds(1) ... .seconds(3600)), default: "30s",
        help: "How long something may wait for a slow client's socket before it is served from the inbox")
    static let socketBytesSetting = Setting(
        "SOCKET_BUFFER_BYTES", .size(4608...4_194_304), default: "64KB",
        help: "What the kernel may hold for a client's socket, its bookkeeping included (SO_SNDBUF as it reports it)")
    static let pageEntriesSetting = Setting(
        "PAGE_ENTRIES", .integer(1...1000), default: "100", help: "Notifications read from an inbox at a time")

    /// Of the buffer for one client, beside what the kernel holds.
    let bytes: Int
    let messages: Int
    let seconds: Int
    /// Of the kernel's buffer.
    let socketBytes: Int
    let pageEntries: Int

    init(_ environment: Environment) throws(SettingsError) {
        bytes = try environment.value(Self.bytesSetting)
        messages = try environment.value(Self.messagesSetting)
        seconds = Int(try environment.value(Self.timeSetting) / .seconds(1))
        socketBytes = try environment.value(Self.socketBytesSetting)
        pageEntries = try environment.value(Self.pageEntriesSetting)
    }
}
