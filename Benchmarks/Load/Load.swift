import EventLoop
import Foundation
import Kafka
import Network
import Tokens

/// Connects people and produces events for them; one run a process.
actor Load: LoopActor {
    nonisolated let loop: EventLoop
    private let options: Options
    private let tally = Tally()
    private var clients: [Client] = []
    private var producer: KafkaProducer?
    private var opened = 0
    private var undelivered = 0
    private var produced = 0

    /// So many connections are opened at once: a listener's backlog and a handshake's cost bound it.
    private static let connectsInFlight = 200
    /// Below what the producer takes, so that it refuses none.
    private static let producesInFlight = 8_000
    /// In every event's id: a repeated run must not be taken for a repetition of its events.
    private let started = EventLoop.wallClock()

    init(loop: EventLoop, options: Options) {
        self.loop = loop
        self.options = options
    }

    // MARK: Connecting

    /// Connects everybody; answers how long that took, in seconds.
    func connectAll() async -> Double {
        let begin = EventLoop.monotonicNanoseconds()
        await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
            var waiting: CheckedContinuation<Void, Never>? = done
            tally.onConnected = {
                if self.tally.connected + self.tally.failed >= self.options.people {
                    waiting?.resume()
                    waiting = nil
                } else {
                    self.openMore()
                }
            }
            openMore()
        }
        tally.onConnected = {}
        return seconds(since: begin)
    }

    private func openMore() {
        while opened < options.people, opened - tally.connected - tally.failed < Self.connectsInFlight {
            let person = name(of: opened)
            opened += 1
            let token = mintHS256(
                TokenClaims(subject: person, expires: EventLoop.wallClock() / 1_000 + 3_600), secret: options.secret)
            ByteStream.connect(loop: loop, host: options.host, port: options.port, timeout: .seconds(20)) { result in
                switch result {
                case .success(let stream):
                    self.clients.append(
                        Client(
                            stream: stream, host: self.options.host, path: "/connection/websocket?u=\(person)", token: token,
                            tally: self.tally))
                case .failure:
                    self.tally.failed += 1
                    self.tally.onConnected()
                }
            }
        }
    }

    private func name(of number: Int) -> String { "\(options.prefix)-\(number)" }

    var connected: Int { tally.connected }

    // MARK: Producing

    func openProducer() async throws {
        producer = try KafkaProducer(
            loop: loop, settings: KafkaSettings(brokers: options.brokers, instanceID: "bench"))
    }

    private func produce(number: Int) {
        let person = name(of: number % options.people)
        let now = EventLoop.monotonicNanoseconds()
        let event = """
            {"specversion":"1.0","id":"\(options.prefix)-\(started)-\(number)","source":"/bench","type":"\(options.type)",\
            "data":{"audience":{"user":"\(person)"},"title":"Benchmark","body":"\(options.body)","data":{"ts":\(now)}}}
            """
        produced += 1
        undelivered += 1
        producer?.produce(
            OutgoingRecord(
                topic: "events.bench", key: Array(person.utf8), value: Array(event.utf8),
                headers: [KafkaHeader("content-type", "application/cloudevents+json")])
        ) { error in
            self.undelivered -= 1
            if error != nil { self.tally.failed += 1 }
        }
    }

    /// An offer of low priority to 1,000 people who are not there.
    private func produceOffer(number: Int) {
        let people = (0..<1_000).map { "\"\(options.prefix)-away-\($0)\"" }.joined(separator: ",")
        let event = """
            {"specversion":"1.0","id":"\(options.prefix)-offer-\(started)-\(number)","source":"/bench","type":"marketing.offer",\
            "data":{"audience":{"users":[\(people)]},"title":"Benchmark","body":"\(options.body)"}}
            """
        undelivered += 1
        producer?.produce(
            OutgoingRecord(
                topic: "events.marketing", value: Array(event.utf8), headers: [KafkaHeader("content-type", "application/cloudevents+json")])
        ) { error in
            self.undelivered -= 1
            if error != nil { self.tally.failed += 1 }
        }
    }

    // MARK: Runs

    /// A steady rate for some seconds: how long a delivery takes.
    func measureLatency() async -> String {
        // Not counted: the first event of a topic waits for its partitions to be found and assigned.
        produce(number: 0)
        await arrival(of: 1, within: 30)
        tally.keepsLatencies = true
        for number in 0..<options.offers { produceOffer(number: number) }
        let count = options.rate * options.seconds
        await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
            var sent = 0
            let begin = EventLoop.monotonicNanoseconds()
            var pacer: LoopTimer?
            pacer = loop.timer(after: .milliseconds(1), every: .milliseconds(1)) {
                let due = Int((EventLoop.monotonicNanoseconds() - begin) * UInt64(self.options.rate) / 1_000_000_000)
                while sent < min(due, count) {
                    sent += 1
                    self.produce(number: sent)
                }
                if sent == count {
                    pacer?.cancel()
                    done.resume()
                }
            }
        }
        await arrival(of: produced, within: 20)
        let sorted = tally.latencies.sorted()
        func percentile(_ share: Double) -> Double {
            sorted.isEmpty ? -1 : Double(sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]) / 1e6
        }
        return """
            {"sent":\(produced),"received":\(tally.deliveries),"p50_ms":\(percentile(0.5)),"p90_ms":\(percentile(0.9)),\
            "p99_ms":\(percentile(0.99)),"max_ms":\(percentile(1))}
            """
    }

    /// As many events as fast as they go: how long until the last has arrived.
    func measureThroughput() async -> String {
        let begin = EventLoop.monotonicNanoseconds()
        await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
            var pacer: LoopTimer?
            // Bounded by what the broker has not acknowledged, so that the producer's queue is not what is measured.
            pacer = loop.timer(after: .milliseconds(1), every: .milliseconds(1)) {
                while self.produced < self.options.events, self.undelivered < Self.producesInFlight { self.produce(number: self.produced) }
                if self.produced == self.options.events {
                    pacer?.cancel()
                    done.resume()
                }
            }
        }
        let producing = seconds(since: begin)
        await arrival(of: produced, within: 120)
        let last = tally.lastDelivery > begin ? Double(tally.lastDelivery - begin) / 1e9 : -1
        return """
            {"sent":\(produced),"received":\(tally.deliveries),"seconds":\(last),"produce_seconds":\(producing)}
            """
    }

    private func arrival(of count: Int, within limit: Int) async {
        if tally.deliveries >= count { return }
        await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
            var waiting: CheckedContinuation<Void, Never>? = done
            let finish = {
                waiting?.resume()
                waiting = nil
                self.tally.onDelivery = {}
            }
            let deadline = loop.timer(after: .seconds(limit), finish)
            tally.onDelivery = {
                guard self.tally.deliveries >= count else { return }
                deadline.cancel()
                finish()
            }
        }
    }

    private func seconds(since begin: UInt64) -> Double { Double(EventLoop.monotonicNanoseconds() - begin) / 1e9 }
}
