internal import Carillonctl
internal import Foundation

@main
enum Main {
    static func main() async {
        // Not `exit`: a loop may still turn, and its end must not run under it.
        _exit(await Carillonctl.run(Array(CommandLine.arguments.dropFirst())))
    }
}
