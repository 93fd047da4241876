"""Measures the gateway beside its peers and writes the second table of docs/performance.md.

Started by `Benchmarks/run-gateway`, which gives it a fresh cluster of release binaries. The peers are run in alternating rounds with
it: `raw`, a loop of bare send() in C, which is the floor, and nginx with nchan. Their processor is utime + stime over the
deliveries that clients saw; resident bytes are the growth of RssAnon + RssShmem.
"""

import http.client
import json
import os
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request

import measure
from peers import CONNECTIONS, WORK, Carillon, Load, Nchan, OwnGateway, Raw, compile_peers, make_members, token

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
PUBLICATIONS = 10


def cpu(peer):
    return sum(map(measure.cpu_seconds, peer.pids))


def resident(peer):
    return sum(map(measure.resident, peer.pids))


def measure_round(peer, kind, bundles):
    """Connects all, publishes one at a time and ten at a time: bytes and processor of a connection, processor of a delivery."""
    settle(peer)
    bytes_before, cpu_before = resident(peer), cpu(peer)
    load = Load(peer.load(kind), CONNECTIONS)
    print(f"{peer.name}, {kind}: {load.up:.0f} connections", flush=True)
    figures = {"up": load.up, "connect_us": (cpu(peer) - cpu_before) / load.up * 1e6}
    time.sleep(peer.first_pings)
    settle(peer)
    figures["bytes"] = (resident(peer) - bytes_before) / load.up
    for bundle in bundles:
        load.ask("r")
        before, wanted = cpu(peer), 0
        for _ in range(PUBLICATIONS):
            peer.publish(bundle)
            wanted += load.up * bundle
            seen = load.collect(wanted)
            if seen["timeout"]:
                raise SystemExit(f"{peer.name} {kind}: {seen['marks']:.0f} of {wanted:.0f} arrived")
        settle(peer)
        figures[f"cpu_{bundle}"] = (cpu(peer) - before) / seen["marks"] * 100_000
        figures["least"], figures["most"] = seen["min_per"], seen["max_per"]
    load.stop()
    return figures


def settle(peer):
    """Until it has done nothing for half a second."""
    busy = cpu(peer)
    for _ in range(40):
        time.sleep(0.5)
        now = cpu(peer)
        if now - busy <= 0.01:
            return
        busy = now


def measure_idle(env, seconds=60):
    """19,000 idle connections that answer their pings: the gateway's share of a core, and Redis's commands."""
    address = measure.gateway(env)
    watched = measure.pids(env, "gateway")
    with measure.Held(f"gateway={address}", f"people={CONNECTIONS}", "prefix=idle", f"secret={env['TOKEN_SECRET']}") as up:
        time.sleep(5)
        commands, ticks = redis_calls(env), sum(map(measure.cpu_seconds, watched))
        time.sleep(seconds)
        share = (sum(map(measure.cpu_seconds, watched)) - ticks) / seconds
        used = {name: calls - commands.get(name, 0) for name, calls in redis_calls(env).items()}
    return {"connected": up["connected"], "share": share, "commands": {name: calls for name, calls in used.items() if calls}}


def redis_calls(env):
    url = urllib.parse.urlsplit(env["REDIS_URL"])
    with socket.create_connection((url.hostname, url.port)) as link:
        link.sendall(b"INFO commandstats\r\n")
        data = b""
        while b"cmdstat_" not in data or not data.endswith(b"\r\n"):
            data += link.recv(65536)
    lines = [line for line in data.decode().splitlines() if line.startswith("cmdstat_")]
    return {line[8:].split(":")[0]: int(line.split("calls=")[1].split(",")[0]) for line in lines}


def deliveries(env):
    text = urllib.request.urlopen(env["OPERATIONS_GATEWAY"] + "/metrics", timeout=30).read().decode()
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines()
               if line.startswith("carillon_gateway_channel_deliveries_total"))


def measure_loops(env, loops, connections=9_000, messages=80):
    """Deliveries a second of posts that come faster than they go out, to clients that do not read meanwhile: the kernel's buffers
    take all, and the load generator, which stands still, takes nothing."""
    gateway = OwnGateway(env, loops)
    load = Load(gateway.load("ws"), connections)
    gateway.publish(1)
    load.collect(connections)
    settle(gateway)
    os.kill(load.process.pid, signal.SIGSTOP)
    start, wanted = deliveries(gateway.env), messages * connections
    poster = threading.Thread(target=post, args=(env, gateway, messages))
    begin = time.monotonic()
    poster.start()
    # A loop that delivers answers this in between, late: only the last answer counts.
    while (done := deliveries(gateway.env) - start) < wanted and time.monotonic() < begin + 60:
        time.sleep(0.02)
    took = time.monotonic() - begin
    poster.join()
    os.kill(load.process.pid, signal.SIGCONT)
    load.stop()
    gateway.stop()
    if done < wanted:
        raise SystemExit(f"{loops} loops: {done:.0f} of {wanted} deliveries")
    return wanted / took


def post(env, gateway, messages):
    """One post after another, 20 ms apart, so that none shares a batch with the next."""
    edge = urllib.parse.urlsplit(env["EDGE_URL"])
    connection = http.client.HTTPConnection(edge.hostname, edge.port, timeout=30)
    for _ in range(messages):
        at = time.monotonic()
        connection.request("POST", "/v1/events", gateway.event(), {
            "X-API-Key": env["API_KEY"], "Content-Type": "application/cloudevents+json"})
        connection.getresponse().read()
        time.sleep(max(0, at + 0.02 - time.monotonic()))


def measure_tls(env, connections=2_000):
    """Connections over TLS beside plain ones, opened by the same client: bytes and processor of the gateway for each."""
    certificate, key = WORK / "certificate.pem", WORK / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
         "/CN=localhost", "-keyout", key, "-out", certificate], check=True, capture_output=True)
    figures = {}
    for name, settings in (("plain", {}), ("tls", {"TLS_CERTIFICATE_FILE": str(certificate), "TLS_KEY_FILE": str(key)})):
        gateway = OwnGateway(env, **settings)
        context = ssl.create_default_context(cafile=str(certificate))
        open_sockets(gateway, context if settings else None, 20)
        settle(gateway)
        bytes_before, cpu_before = resident(gateway), cpu(gateway)
        held = open_sockets(gateway, context if settings else None, connections)
        settle(gateway)
        figures[name] = {
            "bytes": (resident(gateway) - bytes_before) / connections, "connect_us": (cpu(gateway) - cpu_before) / connections * 1e6}
        for each in held:
            each.close()
        gateway.stop()
    return figures


def open_sockets(gateway, context, count):
    """So many registered WebSocket connections, one after another."""
    held = []
    for number in range(count):
        link = socket.create_connection(("127.0.0.1", gateway.port))
        if context:
            link = context.wrap_socket(link, server_hostname="localhost")
        link.sendall(b"GET /connection/websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
        while not link.recv(4096).endswith(b"\r\n\r\n"):
            pass
        command = json.dumps({"id": 1, "connect": {"token": token(gateway.env, f"tls-{number}")}}).encode()
        link.sendall(bytes([0x81, 0xFE]) + len(command).to_bytes(2, "big") + b"\0\0\0\0" + command)
        link.recv(4096)
        held.append(link)
    return held


def medians(rounds):
    return {name: statistics.median(figures[name] for figures in rounds) for name in rounds[0]}


def main():
    compile_peers()
    env = measure.cluster()
    make_members(env, "members")
    watched, inboxes = Carillon(env, "channel", "watched"), Carillon(env, "inbox", "members")
    plan = [
        ("raw, WebSocket", Raw, "ws", [1]), ("nchan, WebSocket", Nchan, "ws", [1]),
        ("Carillon, one channel, WebSocket", watched.start, "ws", [1, 10]),
        ("Carillon, an inbox each, WebSocket", inboxes.start, "ws", [1]),
        ("raw, SSE", Raw, "sse", [1]), ("nchan, SSE", Nchan, "sse", [1]),
        ("Carillon, an inbox each, SSE", inboxes.start, "sse", [1]),
    ]
    # Some of the rows, while something is tried; the table is written of all.
    plan = [row for row in plan if any(part in row[0] for part in os.environ.get("BENCH_ROWS", "").split(";"))]
    rounds = {name: [] for name, *_ in plan}
    for number in range(ROUNDS):
        for name, make, kind, bundles in plan:
            peer = make()
            try:
                figures = measure_round(peer, kind, bundles)
            finally:
                peer.stop()
            rounds[name].append(figures)
            print(f"round {number + 1}: {name}: " + ", ".join(f"{key} {value:.3f}" for key, value in figures.items()), flush=True)
    results = {name: medians(those) for name, those in rounds.items()}
    if os.environ.get("BENCH_ROWS") == "none":
        print({loops: measure_loops(env, loops) for loops in (1, 2)})
    if "BENCH_ROWS" in os.environ:
        return 0
    idle = measure_idle(measure.restart_gateway(measure.cluster()))
    print("TLS and loops …", flush=True)
    tls = measure_tls(measure.cluster())
    rates = {loops: statistics.median(measure_loops(measure.cluster(), loops) for _ in range(ROUNDS)) for loops in (1, 2)}
    print(json.dumps({"results": results, "idle": idle, "tls": tls, "rates": rates}, indent=1))
    write(results, idle, tls, rates)
    return 0


def write(results, idle, tls, rates):
    lines = [
        measure.headline(measure.cluster()), "",
        f"| {CONNECTIONS:,} connections | bytes a connection | CPU a connect | CPU s for 100,000 deliveries | ÷ raw |", "|---|---|---|---|---|"]
    for name, figures in results.items():
        floor = results["raw, SSE" if "SSE" in name else "raw, WebSocket"]["cpu_1"]
        lines.append(
            f"| {name} | {figures['bytes']:,.0f} | {figures['connect_us']:.0f} µs | {figures['cpu_1']:.2f} | {figures['cpu_1'] / floor:.2f} |")
    channel = results["Carillon, one channel, WebSocket"]
    commands = ", ".join(f"{name} {calls}" for name, calls in sorted(idle["commands"].items()))
    lines += [
        "", "| what | figure |", "|---|---|",
        f"| ten messages to each that come together, a message, ÷ one alone | {channel['cpu_10'] / channel['cpu_1']:.2f}; aim: at most 0.3 |",
        f"| {idle['connected']:,} idle connections with their pings | {100 * idle['share']:.2f} % of a core; aim: under 2 |",
        f"| what Redis was asked in those 60 s, by all services | {commands} |",
        f"| a connection over TLS 1.3 | {tls['tls']['bytes']:,.0f} bytes, {tls['tls']['connect_us']:.0f} µs of CPU |",
        f"| the same client without TLS | {tls['plain']['bytes']:,.0f} bytes, {tls['plain']['connect_us']:.0f} µs of CPU |",
        f"| deliveries a second, one loop | {rates[1]:,.0f} |",
        f"| deliveries a second, two loops | {rates[2]:,.0f}: {rates[2] / rates[1]:.2f} times one's; aim: 1.6 |", ""]
    measure.splice("gateway", "\n".join(lines))


if __name__ == "__main__":
    sys.exit(main())
