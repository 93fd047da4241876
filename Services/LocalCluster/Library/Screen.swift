/// The one screen that `make run` prints when everything works: lines that can be pasted as they are.
struct Screen {
    var environment: ClusterEnvironment
    /// The folder of the binaries, as short as it can be written from where the user stands.
    var binaries: String
    var folder: String
    var broker: String
    var seconds: Double

    var text: String {
        let counts = environment.services.map { "\($0.operations.count) \($0.name.rawValue)\($0.operations.count == 1 ? "" : "s")" }.joined(
            separator: ", ")
        let data = #""audience":{"user":"bob"},"actor":{"id":"alice","name":"Alice"},"title":"Alice mentioned you","body":"Lunch?""#
        // The shell's clock makes each paste another event: the same id twice would be one.
        let event = #"{"specversion":"1.0","id":"'$(date +%s%N)'","source":"/shell","type":"social.mention","data":{\#(data)}}"#
        let kcatBroker = environment.kafkaBrokers.split(separator: ",").first.map(String.init) ?? ""
        return """

            Carillon runs, after \(Self.tenths(seconds)) s: \(counts),
            on Redis and \(broker).

              The page      \(environment.edgeURL)/

              Watch what arrives for bob:
                \(tail)

              Send him an event over HTTP:
                curl -s -w '%{http_code}\\n' \(environment.edgeURL)/v1/events -H 'X-API-Key: \(environment.apiKey)' -H 'Content-Type: application/cloudevents+json' -d '\(event)'

              or straight to Kafka:
                echo '\(event)' | kcat -P -b \(kcatBroker) -t events.social -k bob -H content-type=application/cloudevents+json

              Logs of each program: \(folder)/logs/<name>.log. For scripts: \(folder)/cluster.env. Ctrl-C stops everything.

            """
    }

    /// carillonctl finds a cluster in `.local` by itself.
    private var tail: String {
        let address = folder == ".local" ? "" : "LOCAL_DIRECTORY='\(folder)' "
        return "\(address)\(binaries)/carillonctl tail --user bob"
    }

    /// `8.3`; no locale, no Foundation.
    static func tenths(_ seconds: Double) -> String {
        let tenths = Int((max(0, min(seconds, 1e6)) * 10).rounded())
        return "\(tenths / 10).\(tenths % 10)"
    }
}
