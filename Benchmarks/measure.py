"""Measures a running cluster and writes the table of docs/performance.md.

Started by `Benchmarks/run`, which gives it a fresh cluster of release binaries. Every figure is absolute, with the machine and
the commit beside it; compare figures of one run with each other, not with those of another machine.
"""

import datetime
import json
import os
import pathlib
import platform
import shlex
import signal
import statistics
import subprocess
import sys
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
BENCH = ROOT / ".build/release/carillon-bench"
SERVICES = ["notification-service", "fanout-worker", "gateway", "presence-service", "push-service"]
TICK = os.sysconf("SC_CLK_TCK")
# A broker compiles its code while it runs: of the first 300,000 events it takes three times the processor of the later ones.
WARM_RUNS = 3
RUNS = 5
OFFER_RUNS = 3
THROUGHPUT_RUNS = 9


def cluster():
    path = pathlib.Path(os.environ.get("CLUSTER_ENV", ROOT / ".local/cluster.env"))
    lines = (shlex.split(line)[0] for line in path.read_text().splitlines() if "=" in line and not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


def pids(env, service):
    return [int(pid) for pid in env[service.upper().replace("-", "_") + "_PIDS"].split()]


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def resident(pid):
    """Bytes that are the process's own: anonymous and shared memory, no files."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in status if line.startswith(("RssAnon", "RssShmem")))


def edge_pids(env):
    """The processes of the edge that listens where this cluster's does."""
    port = env["EDGE_URL"].rsplit(":", 1)[1]
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if b"haproxy" in (entry / "cmdline").read_bytes() and f"EDGE_PORT={port}".encode() in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def restart_gateway(env):
    """A gateway that has held nothing yet: memory that a former one gave back would hide what a connection takes."""
    [before] = pids(env, "gateway")
    os.kill(before, signal.SIGTERM)
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        time.sleep(0.2)
        fresh = cluster()
        if pids(fresh, "gateway") not in ([], [before]):
            try:
                urllib.request.urlopen(fresh["OPERATIONS_GATEWAY"] + "/health/ready", timeout=1)
                time.sleep(2)  # the edge looks again once a second
                return fresh
            except OSError:
                pass
    raise SystemExit("the gateway did not come back")


def bench(*arguments):
    process = subprocess.run([BENCH, *arguments], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in process.stdout.splitlines()]


class Held:
    """Idle connections that stay while the block runs."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen([BENCH, "hold", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return json.loads(self.process.stdout.readline())

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()


def measure_latency(env, common, seconds=20):
    print("latency: 200 events a second …", flush=True)
    def once(prefix):
        return bench("latency", f"gateway={gateway(env)}", f"brokers={env['KAFKA_BROKERS']}", f"prefix={prefix}", "people=200",
                     "rate=200", f"seconds={seconds}", *common)[-1]

    once("warm")
    results = [once(f"latency-{run}") for run in range(RUNS)]
    return {name: spread([result[name] for result in results]) for name in ("p50_ms", "p99_ms")}


def measure_beside_offers(env, common, seconds=5):
    """Payments while a campaign is under way: 250 offers to 1,000 people each, a quarter of a million notifications of low priority."""
    print("latency: payments beside offers …", flush=True)
    results = [
        bench("latency", f"gateway={gateway(env)}", f"brokers={env['KAFKA_BROKERS']}", f"prefix=beside-{run}", "people=100",
              "type=transaction.payment", "rate=50", f"seconds={seconds}", "offers=250", *common)[-1]
        for run in range(OFFER_RUNS)]
    return {name: spread([result[name] for result in results]) for name in ("p50_ms", "p99_ms")}


def gateway(env):
    return env["GATEWAY_URLS"].split()[0].removeprefix("http://")


def measure_idle(env, common, address, people, prefix, watched):
    print(f"idle: {people} connections to {prefix} …", flush=True)
    before = {pid: resident(pid) for pid in watched}
    with Held(f"gateway={address}", f"people={people}", f"prefix={prefix}", *common) as up:
        time.sleep(3)  # what the connecting itself needed is given back
        grown = {pid: resident(pid) - before[pid] for pid in watched}
        ticks = {pid: cpu_seconds(pid) for pid in watched}
        time.sleep(10)
        busy = {pid: (cpu_seconds(pid) - ticks[pid]) / 10 for pid in watched}
    return {"gateway": watched[0], "connected": up["connected"], "seconds": up["seconds"],
            "bytes": {pid: grown[pid] / max(1, up["connected"]) for pid in watched}, "busy": busy}


def flood(env, common, prefix, events):
    return bench("throughput", f"gateway={gateway(env)}", f"brokers={env['KAFKA_BROKERS']}", "people=2000", *common,
                 f"prefix={prefix}", f"events={events}")[-1]


def measure_throughput(env, common, events=100_000):
    print(f"throughput: {events} events, {THROUGHPUT_RUNS} times …", flush=True)
    watched = {service: pids(env, service) for service in SERVICES} | {"redis": [int(env["REDIS_PID"])]}
    results = []
    for run in range(THROUGHPUT_RUNS):
        before = {name: sum(map(cpu_seconds, those)) for name, those in watched.items()}
        result = flood(env, common, f"load-{run}", events)
        result["cpu"] = {name: sum(map(cpu_seconds, those)) - before[name] for name, those in watched.items()}
        result["rate"] = result["received"] / result["seconds"]
        result["services"] = sum(result["cpu"][name] for name in SERVICES)
        results.append(result)
    return {
        "sent": events, "received": min(result["received"] for result in results),
        "rate": spread([result["rate"] for result in results]),
        "services": spread([result["services"] for result in results]),
        "cpu": {name: spread([result["cpu"][name] for result in results]) for name in watched},
    }


def spread(values):
    """The lowest, the median, the highest."""
    return min(values), statistics.median(values), max(values)


def shown(values, form):
    low, median, high = (format(value, form) for value in values)
    return f"{median} ({low} to {high})"


def machine():
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown")
    return f"{os.cpu_count()} cores, {model}, {platform.freedesktop_os_release()['PRETTY_NAME']}, Linux {platform.release()}"


def headline(env):
    """What was measured, where and on what."""
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    broker = "a real Kafka broker" if env.get("KAFKA_HOME") or os.environ.get("KAFKA_HOME") else "the embedded broker"
    return (f"Commit `{commit}`, {datetime.date.today()}, {broker}; {machine()}. Load generator, broker, Redis and services share these "
            "cores.")


def splice(name, text):
    """Puts a text between the marks of that name in docs/performance.md."""
    page = ROOT / "docs/performance.md"
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    head, rest = page.read_text().split(begin)
    page.write_text(head + begin + text + end + rest.split(end, 1)[1])


def report(env, latency, beside, direct, edge, throughput):
    rows = [
        ("produce → receipt at 200 events a second, p50", f"{shown(latency['p50_ms'], '.1f')} ms"),
        ("produce → receipt at 200 events a second, p99", f"{shown(latency['p99_ms'], '.1f')} ms; aim: under 50"),
        ("payments beside 250 offers to 1,000 people each, produce → receipt, p50", f"{shown(beside['p50_ms'], '.1f')} ms"),
        ("payments beside 250 offers to 1,000 people each, produce → receipt, p99",
         f"{shown(beside['p99_ms'], '.1f')} ms; aim: under 100"),
        (f"gateway, a connection, {direct['connected']:,} idle ones, direct",
         f"{sum(direct['bytes'].values()):,.0f} bytes; aim: under 2,048"),
        (f"gateway, a connection, {edge['connected']:,} idle ones, through the edge",
         f"{edge['bytes'][edge['gateway']]:,.0f} bytes"),
        ("edge, the same connection", f"{sum(b for pid, b in edge['bytes'].items() if pid != edge['gateway']):,.0f} bytes"),
        (f"gateway, {direct['connected']:,} idle connections, processor",
         f"{100 * sum(direct['busy'].values()):.1f} % of a core"),
        (f"{throughput['sent']:,} events to 2,000 people: arrived", f"{throughput['received']:,}"),
        (f"{throughput['sent']:,} events to 2,000 people: events a second", f"{shown(throughput['rate'], ',.0f')}; aim: 30,000"),
        (f"{throughput['sent']:,} events: all services", f"{shown(throughput['services'], '.2f')} CPU s; aim: at most 3"),
        *((f"{throughput['sent']:,} events: {name}", f"{shown(seconds, '.2f')} CPU s") for name, seconds in throughput["cpu"].items()),
    ]
    return "\n".join([
        headline(env), "", "| what | figure |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows), ""])


def main():
    env = cluster()
    common = [f"secret={env['TOKEN_SECRET']}"]
    direct = measure_idle(env, common, gateway(env), 15_000, "direct", pids(env, "gateway"))
    env = restart_gateway(env)
    # Each of these takes the edge two descriptors, of the 20,000 that a process may have here.
    edge = measure_idle(
        env, common, env["EDGE_URL"].removeprefix("http://"), 9_000, "edge", pids(env, "gateway") + edge_pids(env))
    env = restart_gateway(env)
    print("warming the broker …", flush=True)
    for run in range(WARM_RUNS):
        flood(env, common, f"warm-{run}", 100_000)
    latency = measure_latency(env, common)
    throughput = measure_throughput(env, common)
    beside = measure_beside_offers(env, common)
    table = report(env, latency, beside, direct, edge, throughput)
    print(table)
    splice("measured", table)
    return 0 if throughput["received"] == throughput["sent"] else 1


if __name__ == "__main__":
    sys.exit(main())
