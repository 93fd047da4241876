import Gateway
import ServiceRuntime

@main
enum Main {
    static func main() { ServiceRuntime.run(Gateway.self) }
}
