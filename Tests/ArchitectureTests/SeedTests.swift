import Foundation
import Testing

/// `TEST_SEED` replays all that is random in the tests: it comes from a generator with a seed.
@Suite struct SeedTests {
    @Test func allThatIsRandomHasASeed() {
        for file in Repository.swift
        where file.isUnder("Tests") && !file.path.hasSuffix("/SeededGenerator.swift") && !file.isUnder("Tests/ArchitectureTests") {
            for (number, line) in file.lines.enumerated() {
                let code = String(CodeLine(line).code)
                let own = [": RandomNumberGenerator", "SystemRandomNumberGenerator", "arc4random", ".randomElement()", ".shuffled()"]
                    .contains { code.contains($0) }
                func count(_ text: String) -> Int { code.components(separatedBy: text).count - 1 }
                if own || count(".random(") > count("using:") {
                    Issue.record("\(file.path):\(number + 1): random without a seed; use a SeededGenerator of TestSeed")
                }
            }
        }
    }
}
