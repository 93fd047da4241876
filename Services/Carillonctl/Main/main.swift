internal import Carillonctl
internal import Foundation

exit(await Carillonctl.run(Array(CommandLine.arguments.dropFirst())))
