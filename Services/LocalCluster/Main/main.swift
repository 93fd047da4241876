internal import Foundation
internal import LocalCluster

exit(await LocalCommand.main(Array(CommandLine.arguments.dropFirst())))
