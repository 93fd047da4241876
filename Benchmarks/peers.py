"""The gateway, its peers, and the load generator, as `gateway.py` measures them."""

import base64
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import socket
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request

import measure

PEERS = pathlib.Path(os.environ["BENCH_PEERS"])
CONNECTIONS = int(os.environ.get("BENCH_CONNECTIONS", "19000"))
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


# MARK: servers


class Raw:
    """One epoll thread without a protocol: what the kernel alone takes."""

    name = "raw"
    first_pings = 0
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

    # A newcomer is pinged for the first time within HANDSHAKE_TIMEOUT (10 s). Pings are no part of what a delivery costs: the row of
    # the idle connections has them.
    first_pings = 11

    def __init__(self, env, name, audience):
        self.env, self.name, self.audience = env, name, audience
        self.sequence = 0

    def start(self):
        self.env = measure.restart_gateway(measure.cluster())
        self.port = int(measure.gateway(self.env).rsplit(":", 1)[1])
        self.pids = measure.pids(self.env, "gateway")
        return self

    def publish(self, count=1):
        lines = [self.event() for _ in range(count)]
        subprocess.run(
            ["kcat", "-q", "-P", "-b", self.env["KAFKA_BROKERS"], "-t", "events.bench", "-k", self.audience,
             "-H", "content-type=application/cloudevents+json"], input="\n".join(lines), text=True, check=True)

    def event(self):
        self.sequence += 1
        return json.dumps({
            "specversion": "1.0", "id": f"{self.name}-{time.time_ns()}-{self.sequence}", "source": "/bench", "type": "social.like",
            "data": {"audience": {"channel": self.audience}, "title": "", "body": message(80)}})

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


def make_members(env, channel):
    """All who will connect are members: each gets the post in her own inbox."""
    for first in range(0, CONNECTIONS, 1000):
        body = json.dumps({"members": [f"bench-{n}" for n in range(first, min(first + 1000, CONNECTIONS))]}).encode()
        request = urllib.request.Request(
            f"{env['EDGE_URL']}/v1/audiences/{urllib.parse.quote('channel:' + channel, safe='')}/members", body, method="PUT",
            headers={"X-API-Key": env["API_KEY"], "Content-Type": "application/json"})
        urllib.request.urlopen(request, timeout=30).read()


# MARK: load


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
