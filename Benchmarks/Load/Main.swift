import EventLoop
import Foundation

/// What one run does, from its arguments `name=value`.
struct Options: Sendable {
    var run = ""
    var host = "127.0.0.1"
    var port = 0
    var brokers = ""
    var secret = ""
    var prefix = "bench"
    var type = "message.direct"
    var body = String(repeating: "x", count: 100)
    var people = 100
    var rate = 200
    var seconds = 20
    var events = 100_000
    /// Offers to 1,000 named people each that are produced first and still under way while the latency is measured.
    var offers = 0

    static let usage = """
        usage: carillon-bench hold|latency|throughput gateway=HOST:PORT secret=SECRET [brokers=…] [people=N]
               [prefix=NAME] [type=…] [rate=N seconds=N [offers=N]] [events=N]
        Prints one line of JSON a run; `hold` prints when all are connected and waits for the end of its input.
        """

    init?(_ arguments: [String]) {
        guard let run = arguments.first, ["hold", "latency", "throughput"].contains(run) else { return nil }
        self.run = run
        for argument in arguments.dropFirst() {
            let parts = argument.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2, set(parts[0], parts[1]) else { return nil }
        }
    }

    private mutating func set(_ name: String, _ value: String) -> Bool {
        switch name {
        case "gateway":
            let parts = value.split(separator: ":").map(String.init)
            guard parts.count == 2, let number = Int(parts[1]) else { return false }
            (host, port) = (parts[0], number)
        case "secret": secret = value
        case "brokers": brokers = value
        case "prefix": prefix = value
        case "type": type = value
        default:
            guard let number = Int(value) else { return false }
            return set(name, number)
        }
        return true
    }

    private mutating func set(_ name: String, _ number: Int) -> Bool {
        switch name {
        case "people": people = number
        case "rate": rate = number
        case "seconds": seconds = number
        case "events": events = number
        case "offers": offers = number
        default: return false
        }
        return true
    }
}

@main
struct Main {
    static func main() async throws {
        guard let options = Options(Array(CommandLine.arguments.dropFirst())) else {
            print(Options.usage)
            exit(2)
        }
        let loop = EventLoop(name: "bench")
        loop.start()
        let load = Load(loop: loop, options: options)
        let elapsed = await load.connectAll()
        print(#"{"connected":\#(await load.connected),"seconds":\#(elapsed)}"#)
        fflush(nil)
        switch options.run {
        case "latency":
            try await load.openProducer()
            print(await load.measureLatency())
        case "throughput":
            try await load.openProducer()
            print(await load.measureThroughput())
        default:
            while readLine() != nil {}
        }
        exit(0)
    }
}
