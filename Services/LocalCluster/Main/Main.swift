internal import Foundation
internal import LocalCluster

@main
enum Main {
    static func main() async {
        // Not `exit`: libuv's own end must not run under the loop, which still turns.
        _exit(await LocalCommand.main(Array(CommandLine.arguments.dropFirst())))
    }
}
