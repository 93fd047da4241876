import Gateway
import ServiceRuntime

ServiceRuntime.run(Gateway.self)
