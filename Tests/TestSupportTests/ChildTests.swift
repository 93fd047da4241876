import Foundation
import TestSupport
import Testing

/// A test that throws leaves no server behind.
@Suite(.blocking, .timeLimit(.minutes(2))) struct ChildTests {
    private struct Broken: Error {}

    private func isThere(_ process: Int32) -> Bool { kill(process, 0) == 0 }

    @Test func aProgramEndsWithItsLastHolder() throws {
        var process: Int32 = 0
        func broken() throws {
            let child = try Child("/usr/bin/sleep", ["600"])
            process = child.processIdentifier
            #expect(isThere(process))
            throw Broken()
        }
        #expect(throws: Broken.self) { try broken() }
        #expect(process > 0 && !isThere(process))
    }

    @Test func soDoServers() throws {
        var process: Int32 = 0
        func broken() throws {
            let server = try RedisServer()
            process = server.processIdentifier
            throw Broken()
        }
        #expect(throws: Broken.self) { try broken() }
        #expect(process > 0 && !isThere(process))
    }

    @Test func aServerThatDoesNotStartIsSaidToBeSo() {
        #expect(throws: RedisServer.NotStarted.self) { try RedisServer(options: ["--no-such-option", "1"]) }
    }
}
