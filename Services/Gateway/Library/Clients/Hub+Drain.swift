import Centrifuge
import EventLoop
import HTTP
import Redis
import Store

extension Hub {
    /// How long the last streams may take to say farewell, and Redis to take their routes away. After it the sweep does what
    /// was left. With DRAIN_WINDOW it fits into DRAIN_TIMEOUT.
    static let farewellTime = Duration.seconds(4)

    /// Listens no more, keeps the lease, and asks every client to come back, in random order and spread over DRAIN_WINDOW, so
    /// that the others are not stormed; what is new goes to each until then. Ends when all have gone and their routes with
    /// them; at once if there are none.
    func drain(_ completion: @escaping () -> Void) {
        isDraining = true
        lease.drains()
        server?.drain()
        var names: [UInt32] = []
        for index in 0..<slab.extent where slab[index] != nil { names.append(index) }
        names.shuffle()
        if names.isEmpty { return waitForLast(completion) }
        let pace = DrainPace(count: names.count, window: settings.drainWindow.wholeMilliseconds)
        let began = loop.now
        var timer: LoopTimer?
        let step = { [self] in
            let left = pace.count - pace.due(elapsed: loop.now - began)
            while names.count > left { slab[names.removeLast()]?.disconnect(.shutdown) }
            guard names.isEmpty else { return }
            timer?.cancel()
            timer = nil
            // Who was let in just before and has got a place since.
            for index in 0..<slab.extent { slab[index]?.disconnect(.shutdown) }
            waitForLast(completion)
        }
        let period = Duration.milliseconds(50)
        timer = loop.timer(after: period, every: period, step)
    }

    /// Streams that still say farewell, and removals under way. Those that wait for a Redis that is away are left to
    /// the sweep: this process's lease ends with it.
    private func waitForLast(_ completion: @escaping () -> Void) {
        var isDone = false
        let end = { [self] in
            guard !isDone else { return }
            isDone = true
            onStreamClosed = nil
            withdraw(completion)
        }
        let check = { [self] in
            guard openStreams == 0, removalsInFlight == 0, removals.isEmpty || !redis.isUp else { return }
            if channels.isSettled { end() }
        }
        loop.timer(after: Self.farewellTime, end)
        onStreamClosed = check
        check()
    }

    private func withdraw(_ completion: @escaping () -> Void) {
        guard lease.canRead else { return completion() }
        channels.streams.forgetAll(at: lease.instance) { _ in }
        lease.withdraw(completion)
    }
}
