"""Measures the gateway beside its peers and writes the second table of docs/performance.md.

Started by `Benchmarks/run-gateway`, which gives it a fresh cluster of release binaries. The peers are run in alternating rounds with
it: `raw`, a loop of bare send() in C, which is the floor, and nginx with nchan. Their processor is utime + stime over the
deliveries that clients saw; resident bytes are the growth of RssAnon + RssShmem.
"""

import base64
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

import measure

PEERS = pathlib.Path(os.environ["BENCH_PEERS"])
CONNECTIONS = int(os.environ.get("BENCH_CONNECTIONS", "19000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
PUBLICATIONS = 10
WORK = pathlib.Path(tempfile.mkdtemp(prefix="carillon-bench-"))


def compile_peers():
    for name in ("load", "raw"):
        subprocess.run(["gcc", "-O2", "-o", WORK / name, PEERS / f"{name}.c"], check=True)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def await_port(port):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"nothing listens at {port}")


def message(size=200):
    return (f"ts={time.monotonic_ns()} ").ljust(size, "x")


# MARK: who is measured


class Raw:
    """One epoll thread without a protocol: what the kernel alone takes."""

    name = "raw"
    kinds = {"ws": ["-u", "/ws"], "sse": ["-k", "sse", "-u", "/sse"]}

    def __init__(self):
        self.port = free_port()
        self.process = subprocess.Popen([WORK / "raw", str(self.port)])
        await_port(self.port)
        self.pids = [self.process.pid]

    def publish(self, count=1):
        for _ in range(count):
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            connection.request("POST", "/pub", message())
            connection.getresponse().read()

    def load(self, kind):
        return ["-p", str(self.port), *self.kinds[kind]]

    def stop(self):
        self.process.kill()
        self.process.wait()


class Nchan(Raw):
    """nginx with nchan, one worker, as its documentation sets it up."""

    name = "nchan"

    def __init__(self):
        self.port = free_port()
        folder = WORK / f"nginx-{self.port}"
        folder.mkdir()
        (folder / "nginx.conf").write_text(f"""
            load_module /usr/lib/nginx/modules/ngx_nchan_module.so;
            daemon off; worker_processes 1; worker_rlimit_nofile 20000; pid {folder}/pid; error_log {folder}/error.log;
            events {{ worker_connections 20400; }}
            http {{
              access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
              fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
              nchan_max_reserved_memory 256M;
              server {{
                listen 127.0.0.1:{self.port} backlog=4096;
                location = /ws {{ nchan_subscriber websocket; nchan_channel_id bench; }}
                location = /sse {{ nchan_subscriber eventsource; nchan_channel_id bench; }}
                location = /pub {{ nchan_publisher; nchan_channel_id bench; }}
              }}
            }}""")
        self.process = subprocess.Popen(["/usr/sbin/nginx", "-p", folder, "-c", folder / "nginx.conf"])
        await_port(self.port)
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        self.pids = [self.process.pid, *map(int, children)]

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Carillon:
    """The gateway; its publications come the whole way from Kafka."""

    def __init__(self, env, name, audience):
        self.env, self.name, self.audience = env, name, audience
        self.sequence = 0

    def start(self):
        self.env = measure.restart_gateway(measure.cluster())
        self.port = int(measure.gateway(self.env).rsplit(":", 1)[1])
        self.pids = measure.pids(self.env, "gateway")
        return self

    def publish(self, count=1):
        lines = []
        for _ in range(count):
            self.sequence += 1
            lines.append(json.dumps({
                "specversion": "1.0", "id": f"{self.name}-{time.time_ns()}-{self.sequence}", "source": "/bench", "type": "social.like",
                "data": {"audience": {"channel": self.audience}, "body": message(80)}}))
        subprocess.run(
            ["kcat", "-q", "-P", "-b", self.env["KAFKA_BROKERS"], "-t", "events.bench", "-k", self.audience,
             "-H", "content-type=application/cloudevents+json"], input="\n".join(lines), text=True, check=True)

    def load(self, kind):
        tokens = WORK / "tokens"
        if not tokens.exists():
            tokens.write_text("\n".join(token(self.env, f"bench-{number}") for number in range(CONNECTIONS)))
        common = ["-p", str(self.port), "-t", str(tokens)]
        if kind == "sse":
            return [*common, "-k", "sse", "-w", "1", "-u", "/connection/sse", "-H", "Authorization: Bearer {T}"]
        frames = ['{"id":1,"connect":{"token":"{T}"}}']
        if self.audience == "watched":
            frames.append('{"id":2,"subscribe":{"channel":"channel:watched"}}')
        sent = [argument for frame in frames for argument in ("-f", frame)]
        return [*common, "-w", str(len(frames)), "-u", "/connection/websocket", *sent]

    def stop(self):
        pass


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(env, person):
    head = base64url(b'{"alg":"HS256","typ":"JWT"}')
    claims = base64url(json.dumps({"sub": person, "exp": int(time.time()) + 7200, "channels": ["watched"]}).encode())
    mark = hmac.digest(env["TOKEN_SECRET"].encode(), f"{head}.{claims}".encode(), hashlib.sha256)
    return f"{head}.{claims}.{base64url(mark)}"


def make_members(env, channel):
    """All who will connect are members: each gets the post in her own inbox."""
    for first in range(0, CONNECTIONS, 1000):
        body = json.dumps({"members": [f"bench-{n}" for n in range(first, min(first + 1000, CONNECTIONS))]}).encode()
        request = urllib.request.Request(
            f"{env['EDGE_URL']}/v1/audiences/{urllib.parse.quote('channel:' + channel, safe='')}/members", body, method="PUT",
            headers={"X-API-Key": env["API_KEY"], "Content-Type": "application/json"})
        urllib.request.urlopen(request, timeout=30).read()


# MARK: what is measured


class Load:
    """The load generator with its connections."""

    def __init__(self, arguments, connections):
        self.process = subprocess.Popen(
            [WORK / "load", "-n", str(connections), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.up = self.fields(self.process.stdout.readline())["up"]

    @staticmethod
    def fields(line):
        pairs = (field.split("=") for field in line.split() if "=" in field)
        return {name: float(value) for name, value in pairs}

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def collect(self, marks, seconds=30):
        self.ask(f"w {int(marks)} {seconds * 1000}")
        return self.fields(self.process.stdout.readline())

    def stop(self):
        self.process.kill()
        self.process.wait()
        time.sleep(1)


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
    text = urllib.request.urlopen(env["OPERATIONS_GATEWAY"] + "/metrics", timeout=5).read().decode()
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith("carillon_gateway_deliveries_total"))


class OwnGateway(Carillon):
    """A gateway of this benchmark's own beside the cluster's, with so many loops."""

    def __init__(self, env, loops=1, **settings):
        super().__init__(env, f"loops-{loops}-{time.time_ns()}", "watched")
        self.port, self.operations = free_port(), free_port()
        own = {name: env[name] for name in ("REDIS_URL", "TOKEN_SECRET", "API_KEY")} | {
            "PORT": str(self.port), "OPERATIONS_PORT": str(self.operations), "INSTANCE_ID": f"bench-loops-{loops}", "DEMO": "true",
            "LISTEN_ADDRESS": "127.0.0.1", "GATEWAY_LOOPS": str(loops), "PING_INTERVAL": "60s", "PONG_TIMEOUT": "59s",
            "ADMISSION_RATE": "1000000", **settings}
        self.process = subprocess.Popen([measure.ROOT / ".build/release/gateway"], env=os.environ | own, stderr=subprocess.DEVNULL)
        await_port(self.port)
        self.pids = [self.process.pid]
        self.env = env | {"OPERATIONS_GATEWAY": f"http://127.0.0.1:{self.operations}"}

    def stop(self):
        self.process.kill()
        self.process.wait()


def measure_loops(env, loops, connections=9_000, messages=50):
    """Deliveries a second of a burst to clients that do not read meanwhile: the kernel keeps all, the load generator does nothing."""
    gateway = OwnGateway(env, loops)
    load = Load(gateway.load("ws"), connections)
    gateway.publish(1)
    load.collect(connections)
    settle(gateway)
    os.kill(load.process.pid, signal.SIGSTOP)
    start, begin, wanted = deliveries(gateway.env), None, messages * connections
    gateway.publish(messages)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        done, now = deliveries(gateway.env) - start, time.monotonic()
        if done and begin is None:
            begin, first = now, done
        if done >= wanted:
            break
        time.sleep(0.01)
    os.kill(load.process.pid, signal.SIGCONT)
    load.stop()
    gateway.stop()
    return (done - first) / (now - begin)


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
    if "BENCH_ROWS" in os.environ:
        return 0
    idle = measure_idle(measure.restart_gateway(measure.cluster()))
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
