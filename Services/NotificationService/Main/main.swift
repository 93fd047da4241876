import NotificationService
import ServiceRuntime

ServiceRuntime.run(NotificationService.self)
