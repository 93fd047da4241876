// libFuzzer's way in, for the target that the build names.

/// Called by libFuzzer with each input; a fault ends the run, and the input is kept.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = Array(UnsafeBufferPointer(start: data, count: count))
    #if FRAMES
        let fault = faultOfFrames(input)
    #elseif REQUESTS
        let fault = faultOfRequests(input)
    #elseif PROTOBUF
        let fault = faultOfProtobufCommands(input)
    #elseif EVENTS
        let fault = faultOfEvents(input)
    #elseif MESSAGES
        let fault = faultOfGatewayMessages(input)
    #elseif TOKENS
        let fault = faultOfTokens(input)
    #elseif FORWARDED
        let fault = faultOfForwarded(input)
    #else
        let fault = faultOfCommands(input)
    #endif
    if let fault { fatalError(fault) }
    return 0
}
