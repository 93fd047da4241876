import PushService
import ServiceRuntime

@main
enum Main {
    static func main() { ServiceRuntime.run(PushService.self) }
}
