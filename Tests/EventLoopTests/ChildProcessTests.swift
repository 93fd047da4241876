import EventLoop
import Foundation
import Synchronization
import Testing

@Suite struct ChildProcessTests {
    /// Runs one program on a loop of its own; answers how it ended and the lines it printed, which should be so many.
    private func outcome(
        _ command: ChildProcess.Command, lines count: Int, killAtLine signal: Int32? = nil
    ) async throws -> (ChildProcess.Exit, [String]) {
        let loop = EventLoop(name: "child")
        loop.start()
        defer { loop.stop() }
        return try await withCheckedThrowingContinuation { continuation in
            loop.post {
                final class State {
                    var lines: [String] = []
                    var process: ChildProcess?
                }
                let state = State()
                do {
                    state.process = try ChildProcess.start(
                        loop: loop, command,
                        standardOutput: .lines { line in
                            state.lines.append(line)
                            if let signal { state.process?.kill(signal) }
                        },
                        onExit: { exit in
                            // The pipe's last bytes, and its end, may come later: another program that is just starting holds a copy.
                            var looks = 0
                            var ticker: LoopTimer?
                            ticker = loop.timer(after: .milliseconds(5), every: .milliseconds(5)) {
                                looks += 1
                                guard state.lines.count >= count || looks == 6_000 else { return }
                                ticker?.cancel()
                                continuation.resume(returning: (exit, state.lines))
                            }
                        })
                } catch {
                    continuation.resume(throwing: error)
                }
            }
        }
    }

    @Test func givesItsLinesAndItsStatus() async throws {
        let (exit, lines) = try await outcome(.init("sh", ["-c", "echo one; printf 'two\\nlast'; exit 7"]), lines: 3)
        #expect(exit == .status(7))
        #expect(lines == ["one", "two", "last"])
    }

    @Test func tellsTheSignalThatEndedIt() async throws {
        let (exit, lines) = try await outcome(.init("sh", ["-c", "echo up; exec sleep 60"]), lines: 1, killAtLine: SIGKILL)
        #expect(exit == .signal(SIGKILL))
        #expect(lines == ["up"])
    }

    @Test func hasTheEnvironmentThatItWasGivenAndNoOther() async throws {
        let (_, lines) = try await outcome(
            .init("/usr/bin/env", [], environment: ["NAME": "it's = here", "PATH": "/usr/bin:/bin"]), lines: 2)
        #expect(lines.sorted() == ["NAME=it's = here", "PATH=/usr/bin:/bin"])
    }

    @Test func aProgramThatIsNotThereIsAnError() async throws {
        await #expect(throws: ChildProcess.SpawnError.self) {
            _ = try await outcome(.init("/nowhere/program", endsWithParent: false), lines: 0)
        }
    }

    @Test func aSessionOfItsOwnKeepsTheTerminalsSignalsAway() async throws {
        let (_, lines) = try await outcome(.init("sh", ["-c", "ps -o sid= -p $$; echo $$"]), lines: 2)
        #expect(lines.count == 2 && lines[0].trimmingCharacters(in: .whitespaces) == lines[1])
    }

    @Test func inheritsNoDescriptorOfItsParent() async throws {
        let pipe = Pipe()  // Foundation's are not closed on exec.
        let (_, lines) = try await outcome(.init("sh", ["-c", "ls /proc/$$/fd; true"]), lines: 3)
        #expect(lines == ["0", "1", "2"])
        withExtendedLifetime(pipe) {}
    }

    @Test func endsWithTheThreadThatStartedIt() async throws {
        let loop = EventLoop(name: "parent")
        loop.start()
        let pid: Int32 = try await withCheckedThrowingContinuation { continuation in
            loop.post {
                do {
                    // The line tells that the signal is set: setpriv has become the shell.
                    var process: ChildProcess?
                    process = try ChildProcess.start(
                        loop: loop, .init("sh", ["-c", "echo up; exec sleep 60"]),
                        standardOutput: .lines { _ in continuation.resume(returning: process?.pid ?? 0) })
                } catch {
                    continuation.resume(throwing: error)
                }
            }
        }
        #expect(pid > 0 && kill(pid, 0) == 0)
        loop.stop()
        let deadline = ContinuousClock.now + .seconds(60)
        // Its parent is gone from the loop but not from the system: a zombie counts as ended.
        while !hasEnded(pid), ContinuousClock.now < deadline { try await Task.sleep(for: .milliseconds(10)) }
        #expect(hasEnded(pid))
    }

    private func hasEnded(_ pid: Int32) -> Bool {
        guard let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8) else { return true }
        return stat.split(separator: ")").last?.hasPrefix(" Z") ?? true
    }
}
