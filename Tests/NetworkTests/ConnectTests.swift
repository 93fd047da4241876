import EventLoop
import Network
import Synchronization
import Testing

@Suite struct ConnectTests {
    /// The thread that resolves the name writes to the loop when it is done: the loop must still be there, and whoever waits must hear.
    @Test func aLoopThatEndsWaitsForTheNamesItAskedFor() async {
        let answers = Mutex(0)
        for _ in 0..<20 {
            let loop = EventLoop(name: "ending")
            loop.post {
                ByteStream.connect(loop: loop, host: "localhost", port: 9, timeout: .seconds(5)) { _ in
                    answers.withLock { $0 += 1 }
                }
                loop.stop()
            }
            await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
                let worker = WorkerThread(name: "runner")
                worker.run {
                    loop.run()
                    done.resume()
                }
                worker.stop()
            }
        }
        #expect(answers.withLock { $0 } == 20)
    }
}
