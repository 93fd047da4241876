"""The whole suite, each instance under a name of its own, so that a test can stop or kill exactly one."""

import json
import os
import pathlib
import resource
import subprocess
from http.client import HTTPException

from . import http, kafka, tokens
from .clients import EventStream, Poll, ProtobufWebSocket, WebSocket
from .processes import ROOT, Process, free_port
from .redis_wire import RedisWire
from .servers import SERVICES, Apns, Edge, Redis, binaries, broker
from .waiting import until

TOKEN_SECRET, API_KEY = "carillon-demo-token-secret-0000000", "carillon-demo-key"
# A web page elsewhere that may use the suite.
ALLOWED_ORIGIN = "https://app.example"


class Service(Process):
    def __init__(self, cluster, service, number, environment=None, limits=None):
        self.service, self.port, self.operations_port = service, free_port(), free_port()
        self.url, self.operations = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{self.operations_port}"
        settings = {
            "INSTANCE_ID": self.instance(service, number), "LISTEN_ADDRESS": "127.0.0.1", "PORT": self.port,
            "OPERATIONS_PORT": self.operations_port, "REDIS_URL": cluster.redis_url, "KAFKA_BROKERS": cluster.broker.address,
            "KAFKA_MOCK": "true" if cluster.broker.mock else "false", "DEMO": "true", "TOKEN_SECRET": TOKEN_SECRET,
            "API_KEY": API_KEY, "ALLOWED_ORIGINS": ALLOWED_ORIGIN, "REDIS_COMMAND_TIMEOUT": "5s",  # a disk's slow flush is no outage
        }
        if service == "gateway":
            settings["PUBLIC_URL"] = cluster.edge_url
        if service in ("notification-service", "fanout-worker"):
            settings["POLICIES"] = ROOT / "deploy/policies.yaml"
        if service == "push-service":
            settings |= cluster.apns.settings()
        super().__init__(self.instance(service, number), [binaries() / service], cluster.directory, settings | (environment or {}),
                         ready=self.works, limits=limits)

    def works(self):
        """Ready, and what it depends on has answered: until then newcomers are asked to come back."""
        try:
            answer = http.request("GET", self.operations + "/health/ready", timeout=10)
        except (OSError, HTTPException):
            return False
        return answer.status == 200 and all(dependency["up"] for dependency in answer.json()["dependencies"].values())

    @staticmethod
    def instance(service, number):
        """`gateway-2`; one for a single test has a name of its own."""
        return f"{service}-{number}" if isinstance(number, int) else number

    def metrics(self):
        return http.metrics(self.operations)

    def dependency(self, name):
        """carillon_dependency_up as this service shows it: 1, 0, or None if it has no such dependency."""
        return self.metrics().get(f'carillon_dependency_up{{dependency="{name}"}}')


class Cluster:
    """Redis, a broker, the stand-in, `gateways` gateways and one of each other service, behind an edge. `wired`: the services
    reach Redis through `wire`."""

    def __init__(self, directory, gateways=2, wired=False):
        self.directory, self.processes = pathlib.Path(directory), []
        self.token_secret, self.api_key = TOKEN_SECRET, API_KEY
        try:
            self.redis, self.broker, self.apns = (self.run(part) for part in (
                Redis(self.directory), broker(self.directory), Apns(self.directory)))
            self.wire = RedisWire(self.redis.url.removeprefix("redis://")) if wired else None
            self.redis_url = self.wire.url if wired else self.redis.url
            if not self.broker.mock:
                subprocess.run([binaries() / "carillon-local", "topics"], check=True, capture_output=True,
                               env=os.environ | {"KAFKA_BROKERS": self.broker.address})
            self.edge_url = ""
            self.services = {service: [] for service in SERVICES}
            self.edge = None
            edge = Edge(self.directory, {})
            self.edge_url = edge.url
            for service in SERVICES:
                for _ in range(gateways if service == "gateway" else 1):
                    self.add(service, wait=False)
            edge.write({service: [instance.url.removeprefix("http://") for instance in instances]
                        for service, instances in self.services.items()} | {"apns": [f"127.0.0.1:{self.apns.http_port}"]})
            for instance in self.all():
                instance.wait_ready()
            self.edge = self.run(edge)
        except BaseException:
            self.stop()
            raise

    def run(self, process, wait=True):
        self.processes.append(process)
        return process.start(wait=wait)

    def add(self, service, environment=None, wait=True, limits=None):
        """One more instance; the edge does not know of it."""
        instance = Service(self, service, len(self.services[service]) + 1, environment, limits)
        self.services[service].append(instance)
        return self.run(instance, wait)

    def extra(self, service, name, environment=None, descriptors=None, addresses=None):
        """An instance for one test, which ends it. It may have so many descriptors, and bytes of addresses (`ulimit -v`)."""
        def limit():
            for kind, most in ((resource.RLIMIT_NOFILE, descriptors), (resource.RLIMIT_AS, addresses)):
                if most:
                    resource.setrlimit(kind, (most, most))
        instance = Service(self, service, name, environment, limit)
        return self.run(instance)

    def all(self):
        return [instance for instances in self.services.values() for instance in instances]

    def __getitem__(self, service):
        return self.services[service][0]

    @property
    def gateways(self):
        return self.services["gateway"]

    def stop(self):
        for process in reversed(self.processes):
            process.end()
        if getattr(self, "wire", None):
            self.wire.close()

    # What a test does with it

    def token(self, person, seconds=3600, **claims):
        return tokens.mint(TOKEN_SECRET, person, seconds, **claims)

    def websocket(self, person, gateway=None, cursor=None, kind=WebSocket, **claims):
        """A connected client, at a gateway directly or through the edge."""
        base = (gateway.url if gateway else self.edge_url).replace("http", "ws", 1)
        return kind(f"{base}/connection/websocket?u={http.quote(person)}", token=self.token(person, **claims), cursor=cursor)

    def protobuf(self, person, gateway=None, cursor=None, **claims):
        """As `websocket`, in the protocol's other codec."""
        return self.websocket(person, gateway, cursor, ProtobufWebSocket, **claims)

    def event_stream(self, person, gateway=None, cursor=None, **claims):
        return EventStream((gateway.url if gateway else self.edge_url) + f"/connection/sse?u={http.quote(person)}",
                           token=self.token(person, **claims), cursor=cursor)

    def poll(self, person, gateway=None, cursor=None, **claims):
        return Poll((gateway.url if gateway else self.edge_url) + f"/connection/poll?u={http.quote(person)}",
                    token=self.token(person, **claims), cursor=cursor)

    def inbox(self, person, after=None, limit=1000):
        path = f"/v1/inbox?limit={limit}" + (f"&after={after}" if after else "")
        return http.request("GET", self.edge_url + path, headers=self.bearer(person)).json()

    def bearer(self, person):
        return {"Authorization": "Bearer " + self.token(person)}

    @property
    def key(self):
        return {"X-API-Key": API_KEY}

    def members(self, audience, members, method="PUT"):
        return http.request(method, f"{self.edge_url}/v1/audiences/{http.quote(audience)}/members", {"members": members}, self.key)

    def device(self, person, token, method="PUT"):
        if method == "PUT":
            body = {"token": token, "platform": "apns", "app": self.apns.settings()["APNS_TOPIC"], "environment": "sandbox"}
            return http.request("PUT", self.edge_url + "/v1/devices", body, self.bearer(person))
        return http.request(method, self.edge_url + "/v1/devices" + ("" if method == "GET" else "/" + http.quote(token)),
                            headers=self.bearer(person))

    def produce(self, event, topic="events.system-tests", key=None, binary=False):
        kafka.produce(self.broker.address, topic, [event], key=key, binary=binary)

    def post(self, event):
        """As a producer should: again, where Kafka did not acknowledge it in time."""
        def answer():
            given = http.request("POST", self.edge_url + "/v1/events", event, self.key | {"Content-Type": "application/cloudevents+json"})
            return given if given.status != 503 else None
        return until(answer, 120, "an answer other than 503", every=1)

    def online(self, *people):
        query = "&".join("user=" + http.quote(person) for person in people)
        return http.request("GET", f"{self.edge_url}/v1/presence?{query}", headers=self.key).json()["users"]

    def holders(self, person):
        """The gateways that a person has routes to."""
        names = {connection.partition("#")[0] for key in self.redis.ask("KEYS", f"routes:{{*}}:{person}")
                 for connection in self.redis.ask("HKEYS", key)}
        return [gateway for gateway in self.gateways if gateway.name in names]

    def dead_letters(self, topic="events.dlq"):
        return kafka.records(self.broker.address, topic)

    def warm(self, *topics):
        """Returns once an event on each topic goes the whole way: topics are found and the consumer groups formed."""
        with self.websocket("warm-up") as client:
            for topic in topics:
                self.produce(kafka.event("message.direct", {"user": "warm-up"}, title=topic), topic)
            until(lambda: set(topics) <= set(client.titles), 90, lambda: f"events on {topics} through the whole suite")

    def describe(self):
        return json.dumps({process.name: process.runs for process in self.processes})
