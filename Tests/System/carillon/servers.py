"""What the services stand on: Redis, a broker, the APNs stand-in, the edge."""

import os
import pathlib
import re
import shlex
import shutil
import signal
import socket
import subprocess

from . import http
from .processes import ROOT, Process, free_port, listens
from .waiting import until

SERVICES = ("notification-service", "fanout-worker", "gateway", "presence-service", "push-service")


def binaries():
    """The folder of the built binaries: CARILLON_BIN, or what was built last."""
    if "CARILLON_BIN" in os.environ:
        return pathlib.Path(os.environ["CARILLON_BIN"]).resolve()
    built = [folder for folder in (ROOT / ".build/debug", ROOT / ".build/release") if (folder / "gateway").exists()]
    assert built, "no binaries: run swift build, or set CARILLON_BIN"
    return max(built, key=lambda folder: (folder / "gateway").stat().st_mtime)


def has_loopback_6():
    """Whether this machine has an IPv6 loopback address."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        return True
    except OSError:
        return False


class Redis(Process):
    """As the suite wants it: every write is on disk before it is acknowledged, and nothing is evicted."""

    def __init__(self, directory, name="redis"):
        self.port = free_port()
        data = directory / f"{name}-data"
        data.mkdir(exist_ok=True)
        super().__init__(name, [
            "redis-server", "--port", self.port, "--bind", "127.0.0.1", "--dir", data, "--save", "", "--appendonly", "yes",
            "--appendfsync", "always", "--maxmemory-policy", "noeviction"], directory, ready=lambda: self.ask("PING") == "PONG")
        self.url = f"redis://127.0.0.1:{self.port}"

    def ask(self, *command):
        """One command; strings, integers, lists, None. Raises OSError when Redis is away."""
        with socket.create_connection(("127.0.0.1", self.port), 20) as connection:
            parts = [str(part).encode() for part in command]
            connection.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
            with connection.makefile("rb") as answer:
                return reply(answer)

    def wait_ready(self, timeout=120):
        def is_ready():
            try:
                return self.ready()
            except (OSError, RuntimeError):
                return False
        until(is_ready, timeout, self.tail)


def reply(stream):
    line = stream.readline().rstrip(b"\r\n")
    kind, rest = line[:1], line[1:]
    if kind == b"-":
        raise RuntimeError(rest.decode())
    if kind == b"+":
        return rest.decode()
    if kind == b":":
        return int(rest)
    if kind == b"$":
        return None if rest == b"-1" else stream.read(int(rest) + 2)[:-2].decode(errors="replace")
    if kind == b"*":
        return [reply(stream) for _ in range(int(rest))]
    raise OSError("no answer")


class RealBroker(Process):
    """One KRaft node from the distribution at KAFKA_HOME, by its official names."""

    mock = False

    def __init__(self, home, directory, **settings):
        """`settings`: of the broker, with a _ for each dot; they go before these."""
        port, control = free_port(), free_port()
        data = directory / "kafka"
        data.mkdir(exist_ok=True)
        self.address, self.home = f"127.0.0.1:{port}", pathlib.Path(home)
        properties = data / "server.properties"
        properties.write_text(f"""process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{control}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{control}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}/data
num.partitions=4
auto.create.topics.enable=true
offsets.topic.replication.factor=1
offsets.topic.num.partitions=8
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=8
group.initial.rebalance.delay.ms=0
message.max.bytes=4194304
""" + "".join(f"{name.replace('_', '.')}={value}\n" for name, value in settings.items()))
        environment = {"LOG_DIR": data, "KAFKA_HEAP_OPTS": "-Xms256m -Xmx512m"}
        self.properties, self.data = properties, data / "data"
        self.format(environment)
        super().__init__("kafka", [self.home / "bin/kafka-server-start.sh", properties], directory, environment, ready=self.answers)

    def answers(self):
        host, port = self.address.split(":")
        try:
            with socket.create_connection((host, int(port)), 1) as connection:
                # ApiVersions, version 0: answered once the broker serves requests.
                connection.settimeout(2)
                connection.sendall(bytes([0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xFF, 0xFF]))
                return len(connection.recv(16)) >= 8
        except OSError:
            return False

    def format(self, environment):
        storage = self.home / "bin/kafka-storage.sh"
        environment = os.environ | {name: str(value) for name, value in environment.items()}
        cluster = subprocess.run([storage, "random-uuid"], capture_output=True, text=True, check=True, env=environment).stdout.split()[-1]
        subprocess.run([storage, "format", "-t", cluster, "-c", self.properties], capture_output=True, check=True, env=environment)

    def replace_data(self):
        """It comes back on the same port, as another cluster that knows nothing."""
        self.kill()
        shutil.rmtree(self.data)
        self.format(self.environment)
        self.start()

    def topics(self, *arguments):
        return subprocess.run([self.home / "bin/kafka-topics.sh", "--bootstrap-server", self.address, *arguments],
                              capture_output=True, text=True, check=True).stdout

    def down(self):
        # The harder of two ends; what either may forget of a commit stands in decision 0014.
        self.kill()

    def up(self):
        self.start()


class MockBroker(Process):
    """The mock cluster in librdkafka, served by carillon-local; it keeps its records while its brokers are down."""

    mock = True

    def __init__(self, directory):
        self.file = directory / "broker.address"
        super().__init__("broker", [binaries() / "carillon-local", "broker", self.file], directory, ready=self.answers)

    @property
    def address(self):
        return self.file.read_text().strip()

    def answers(self):
        return self.file.exists() and bool(self.address) and listens(int(self.address.split(",")[0].rsplit(":", 1)[1]))

    def down(self):
        self.send(signal.SIGUSR1)

    def up(self):
        self.send(signal.SIGUSR2)


def broker(directory):
    home = os.environ.get("KAFKA_HOME")
    return RealBroker(home, directory) if home else MockBroker(directory)


class Apns(Process):
    def __init__(self, directory):
        self.state, self.port, self.http_port = directory / "apns", free_port(), free_port()
        super().__init__("apns", ["/usr/bin/python3", ROOT / "Tests/StandIns/apns", "--state", self.state, "--port", self.port,
                                  "--http-port", self.http_port], directory, {"PYTHONDONTWRITEBYTECODE": 1},
                         ready=lambda: http.answers(self.url + "/health"))
        self.url = f"http://127.0.0.1:{self.http_port}"

    def settings(self):
        lines = (line.partition("=") for line in (self.state / "apns.env").read_text().splitlines())
        return {name: shlex.split(value)[0] for name, _, value in lines}

    def received(self, token):
        return http.request("GET", f"{self.url}/received?token={http.quote(token)}").json()

    def fault(self, **fault):
        assert http.request("POST", self.url + "/fault", fault).status == 200


class Edge(Process):
    """HAProxy with the shipped configuration, its list of servers filled in as carillon-local does."""

    def __init__(self, directory, servers, name="edge", **environment):
        self.port = free_port()
        self.url, self.list, self.folder = f"http://127.0.0.1:{self.port}", directory / f"{name}.cfg", ROOT / "deploy/edge"
        self.write(servers)
        super().__init__(name, ["haproxy", "-db", "-f", self.folder / "haproxy.cfg", "-f", self.list], directory,
                         {"EDGE_PORT": self.port, "EDGE_DIRECTORY": self.folder, "DEMO": "true", **environment},
                         ready=lambda: listens(self.port))

    def write(self, servers):
        """`servers`: {service: ["host:port", …]}."""
        lines = []
        for line in (self.folder / "backends.cfg.template").read_text().splitlines():
            mark = re.fullmatch(r"\s*@(SERVERS|TRACKED) ([a-z-]+)@", line)
            if not mark:
                lines.append(line)
                continue
            kind, service = mark.groups()
            for number, address in enumerate(servers.get(service, []), 1):
                check = "check" if kind == "SERVERS" else f"track {service}/{service}-{number}"
                lines.append(f"    server {service}-{number} {address} {check}")
        self.list.write_text("\n".join(lines) + "\n")
