import PushService
import ServiceRuntime

ServiceRuntime.run(PushService.self)
