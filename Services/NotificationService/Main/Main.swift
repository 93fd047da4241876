import NotificationService
import ServiceRuntime

@main
enum Main {
    static func main() { ServiceRuntime.run(NotificationService.self) }
}
