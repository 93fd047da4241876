import FanoutWorker
import ServiceRuntime

@main
enum Main {
    static func main() { ServiceRuntime.run(FanoutWorker.self) }
}
