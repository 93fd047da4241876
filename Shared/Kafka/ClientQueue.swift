internal import CRDKafka
internal import EventLoop
internal import Glibc

/// Tells a loop when a queue of librdkafka, or one of several, goes from empty to not empty, through a pipe that librdkafka
/// writes to. Loop thread only.
final class ClientQueue {
    private let queue: OpaquePointer
    private let reading: Int32
    private let writing: Int32
    private var poll: LoopPoll?

    /// Takes the queue over. `onReady` is called on the loop. It must empty the queue, or look at it again by itself.
    init?(loop: EventLoop, queue: OpaquePointer, onReady: @escaping () -> Void) {
        var ends: (Int32, Int32) = (-1, -1)
        let made = withUnsafeMutablePointer(to: &ends) {
            $0.withMemoryRebound(to: Int32.self, capacity: 2) { carillon_kafka_wake_pipe($0) }
        }
        guard made == 0 else { return nil }
        self.queue = queue
        (reading, writing) = ends
        rd_kafka_queue_io_event_enable(queue, writing, "1", 1)
        let reading = reading
        poll = loop.poll(descriptor: reading) { _ in
            withUnsafeTemporaryAllocation(byteCount: 64, alignment: 1) { scratch in
                while Glibc.read(reading, scratch.baseAddress, scratch.count) == scratch.count {}
            }
            onReady()
        }
    }

    /// Calls `onReady` for another queue as well, until `silence`. That queue stays the caller's.
    func listen(to other: OpaquePointer) { rd_kafka_queue_io_event_enable(other, writing, "1", 1) }

    func silence(_ other: OpaquePointer) { rd_kafka_queue_io_event_enable(other, -1, nil, 0) }

    /// To be called before the client is destroyed.
    func close() {
        guard let poll else { return }
        self.poll = nil
        rd_kafka_queue_io_event_enable(queue, -1, nil, 0)
        rd_kafka_queue_destroy(queue)
        poll.close()
        Glibc.close(reading)
        Glibc.close(writing)
    }

    deinit { close() }
}
