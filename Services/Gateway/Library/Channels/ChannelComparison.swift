import EventLoop
import Models
import ServiceRuntime
import Store

/// Compares all channels of a loop with their streams after a loss, a few at a time. It notes their watchers again under a new
/// epoch, and repeats reads that failed. Loop thread only.
final class ChannelComparison {
    private unowned let channels: Channels
    private let streams: ChannelStreams
    private let lease: GatewayLease
    private let settings: GatewaySettings
    /// The channels of the walk.
    private var places: [ChannelID] = []
    /// Channels and watchers whose read failed. They are tried again each second.
    private var stalledChannels: Set<ChannelID> = []
    private var stalledLags: [Lag] = []
    private lazy var walker = Walker(
        window: settings.loops.reconcileWindow, canRead: { [unowned self] in lease.isReady },
        extent: { [unowned self] in UInt32(places.count) }, visit: { [unowned self] in visit($0) })

    init(of channels: Channels, streams: ChannelStreams, lease: GatewayLease, settings: GatewaySettings) {
        self.channels = channels
        self.streams = streams
        self.lease = lease
        self.settings = settings
    }

    /// A channel could not be read, or its watchers could not be noted.
    func failed(_ channel: ChannelID) { stalledChannels.insert(channel) }

    func failed(_ lag: Lag) { stalledLags.append(lag) }

    /// Compares these channels with their streams, and notes watchers again that were noted under a former epoch.
    func compareAll(_ all: [ChannelID]) {
        walker.stop()
        places = all
        guard lease.isReady else { return stalledChannels.formUnion(all) }
        walker.start()
    }

    /// Once a second: tries again what has failed.
    func retry() {
        guard lease.isReady else { return }
        let lags = stalledLags
        stalledLags = []
        for lag in lags where !lag.hasEnded {
            lag.isStalled = false
            lag.verify()
        }
        guard !stalledChannels.isEmpty else { return }
        let failed = stalledChannels
        stalledChannels = []
        if walker.isWalking { return places.append(contentsOf: failed) }
        places = Array(failed)
        walker.start()
    }

    private func visit(_ place: UInt32) -> Int {
        guard let channel = channels[places[Int(place)]] else { return 0 }
        let isStale = channel.epochNumber != lease.epochNumber
        if isStale || channel.subscriptions.contains(where: { $0.epochNumber != lease.epochNumber }) { return renew(channel) }
        guard channel.session.verify(isFull: false) == .read else { return 0 }
        channel.readPage { [self] in walker.readEnded() }
        return 1
    }

    /// Notes all watchers of a channel under the present epoch of this instance, in as many calls as it needs. The last call
    /// reads a page. Answers how many calls were made.
    private func renew(_ channel: Channel) -> Int {
        guard channel.session.registerAgain() else {
            failed(channel.id)
            return 0
        }
        let number = lease.epochNumber
        let subscriptions = channel.subscriptions
        let most = ChannelStreams.maximumItems
        var start = 0
        repeat {
            let some = subscriptions[start..<min(start + most, subscriptions.count)]
            start += most
            let isLast = start >= subscriptions.count
            for subscription in some { subscription.epochNumber = number }
            streams.watch(
                channel.id, at: lease.instance, some.compactMap { channels.watcher($0) }, count: channel.count,
                from: .after(channel.session.position), limit: isLast ? settings.sending.pageEntries : 0, bytes: settings.sending.bytes
            ) { [self] result in
                let page = try? result.get().0
                if page == nil {
                    for subscription in some { subscription.epochNumber = 0 }
                    failed(channel.id)
                }
                guard isLast else { return }
                if page != nil { channel.epochNumber = number }
                channel.arrived(page)
                walker.readEnded()
                // Redis may have lost the lease and nothing else. Then the watchers are still noted under the former name.
                if page != nil, let former = lease.formerInstance { streams.clean(channel.id, of: former) { _ in } }
            }
        } while start < subscriptions.count
        return 1
    }
}
