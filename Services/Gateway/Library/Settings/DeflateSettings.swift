import Settings

/// Compression of WebSocket messages.
struct DeflateSettings {
    static let isOnSetting = Setting(
        "WEBSOCKET_DEFLATE", .boolean, default: "false",
        help: "Compress messages (permessage-deflate) with WebSocket clients that offer it")
    static let minimumBytesSetting = Setting(
        "WEBSOCKET_DEFLATE_MIN_BYTES", .size(1...1_048_576), default: "256B",
        help: "Shortest message that is compressed, where that was agreed on")

    let isOn: Bool
    /// Of the shortest message that is compressed.
    let minimumBytes: Int

    init(_ environment: Environment) throws(SettingsError) {
        isOn = try environment.value(Self.isOnSetting)
        minimumBytes = try environment.value(Self.minimumBytesSetting)
    }
}
