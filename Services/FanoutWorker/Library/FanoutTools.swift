import EventLoop
import Models
import ServiceRuntime
import Store

/// What the work on every batch needs. Confined to the loop.
struct FanoutTools {
    let loop: EventLoop
    let store: StoreConnection
    let inbox: Inbox
    let router: any Router
    let audiences: Audiences
    let channels: ChannelStreams
    let topics: Topics
    let limits: FanoutLimits
    let rightOfWay: RightOfWay
    let metrics: FanoutMetrics
    let log: Log
}
