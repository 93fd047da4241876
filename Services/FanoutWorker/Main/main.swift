import FanoutWorker
import ServiceRuntime

ServiceRuntime.run(FanoutWorker.self)
