internal import EventLoop
internal import Glibc

/// What every process does once a second: it measures how late its loop is, and sums up repeated log lines. And what
/// it says of itself at every scrape.
final class Upkeep {
    private static let interval: Duration = .seconds(1)
    /// From a tenth of a millisecond, below which a timer is not exact, to five seconds.
    private static let lags = [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5]

    private var timer: LoopTimer?

    /// - Parameter measuresProcess: false for the further loops of a process, whose memory and time are counted once.
    init(loop: EventLoop, log: Log, metrics: Metrics, measuresProcess: Bool = true) {
        let lag = metrics.histogram(
            "carillon_loop_lag_seconds", "How late the event loop ran a timer, sampled once a second.", buckets: Self.lags)
        if measuresProcess { Self.measureProcess(metrics) }
        var due = EventLoop.monotonicNanoseconds() + 1_000_000_000
        timer = loop.timer(after: Self.interval, every: Self.interval) {
            let now = EventLoop.monotonicNanoseconds()
            lag.observe(now > due ? Double(now - due) / 1e9 : 0)
            // The next one is due a second after this one ran, so one long turn counts once.
            due = now + 1_000_000_000
            log.sumUp()
        }
    }

    func stop() { timer?.cancel() }

    private static func measureProcess(_ metrics: Metrics) {
        metrics.gauge("carillon_build_info", "Always 1; the label says what is running.", labels: "version=\"\(Version.text)\"").set(1)
        metrics.counter("process_cpu_seconds_total", "User and system CPU time in seconds.") { cpuSeconds() }
        metrics.gauge("process_resident_memory_bytes", "Resident memory in bytes.") { residentBytes() }
        metrics.gauge("process_open_fds", "Open file descriptors.") { openDescriptors() }
        metrics.gauge("process_max_fds", "The most file descriptors that may be open.") { descriptorLimit() }
        metrics.gauge("process_start_time_seconds", "Start of the process in seconds since 1970.")
            .set(Double(EventLoop.wallClock()) / 1000)
    }

    private static func cpuSeconds() -> Double {
        var usage = rusage()
        guard getrusage(RUSAGE_SELF.rawValue, &usage) == 0 else { return 0 }
        return Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
            + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6
    }

    /// The second number of `/proc/self/statm`, in pages.
    private static func residentBytes() -> Double {
        let descriptor = open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return 0 }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 128)
        let count = read(descriptor, &bytes, bytes.count)
        let numbers = String(decoding: bytes.prefix(max(0, count)), as: UTF8.self).split(separator: " ")
        guard numbers.count > 1, let pages = Int(numbers[1]) else { return 0 }
        return Double(pages) * Double(sysconf(Int32(_SC_PAGESIZE)))
    }

    private static func openDescriptors() -> Double {
        guard let directory = opendir("/proc/self/fd") else { return 0 }
        defer { closedir(directory) }
        var count = 0
        while readdir(directory) != nil { count += 1 }
        // Without ".", ".." and the directory's own.
        return Double(max(0, count - 3))
    }
}

/// The limit on open descriptors that holds now.
public func descriptorLimit() -> Double {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 0 }
    return Double(limit.rlim_cur)
}

/// Raises the limit on open descriptors as far as this process may.
func raiseDescriptorLimit() {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0, limit.rlim_cur < limit.rlim_max else { return }
    limit.rlim_cur = limit.rlim_max
    _ = setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
}
