import EventLoop
import HTTP
import Redis
import Store

extension Hub {
    /// Asks every client to come back, in random order and spread over time, so that the others are not stormed; ends
    /// when all have gone and their routes with them.
    func drain(_ completion: @escaping () -> Void) {
        isDraining = true
        server?.drain()
        var names: [UInt32] = []
        for index in 0..<slab.extent where slab[index] != nil { names.append(index) }
        names.shuffle()
        let period = Duration.milliseconds(50)
        let perTick = max(1, settings.drainRate / 20)
        var timer: LoopTimer?
        let step = { [self] in
            for index in names.suffix(perTick) { slab[index]?.disconnect(.shutdown) }
            names.removeLast(min(perTick, names.count))
            guard names.isEmpty else { return }
            timer?.cancel()
            timer = nil
            waitForLast(completion)
        }
        timer = loop.timer(after: period, every: period, step)
    }

    /// Streams that still say farewell, and removals under way. Those that wait for a Redis that is away are left to
    /// the sweep: this process's lease ends with it.
    private func waitForLast(_ completion: @escaping () -> Void) {
        var isDone = false
        let check = { [self] in
            guard !isDone, openStreams == 0, removalsInFlight == 0, removals.isEmpty || !redis.isUp else { return }
            isDone = true
            onStreamClosed = nil
            withdraw(completion)
        }
        onStreamClosed = check
        check()
    }

    private func withdraw(_ completion: @escaping () -> Void) {
        guard redis.isUp, isEnrolled else { return completion() }
        stopLease()
        gateways.withdraw(instance) { _ in completion() }
    }
}
