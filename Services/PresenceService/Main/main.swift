import PresenceService
import ServiceRuntime

ServiceRuntime.run(PresenceService.self)
