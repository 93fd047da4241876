import PresenceService
import ServiceRuntime

@main
enum Main {
    static func main() { ServiceRuntime.run(PresenceService.self) }
}
