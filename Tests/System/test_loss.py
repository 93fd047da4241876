"""The law "Loss is noticed, and idleness is free": batches are dropped, delayed or cut off on their way to a gateway; and what
its idleness costs."""

import itertools
import time

import pytest

from carillon import http, kafka, standstill
from carillon.clients import WebSocket
from carillon.readers import Reader, read
from carillon.redis_wire import RedisWire
from carillon.seed import chance
from carillon.servers import Redis
from carillon.waiting import until
from carillon.watching import Watcher

LATEST = 2.0  # seconds from the append to the client, whatever happens to the batch
PEOPLE = 20
NUMBERS = itertools.count(1)


class Crowd:
    """People with a device each, by WebSocket, event stream and long poll in turn, at one gateway."""

    def __init__(self, cluster, gateway, person, polls):
        self.cluster, self.people = cluster, [person(f"p{number}") for number in range(PEOPLE)]
        ways = (cluster.websocket, cluster.event_stream, cluster.poll if polls else cluster.websocket)
        self.clients = {name: ways[number % 3](name, gateway)
                        for number, name in enumerate(self.people)}
        self.expected = {name: [] for name in self.people}
        self.random = chance("crowd")

    def send(self, count):
        events = []
        for _ in range(count):
            name = self.random.choice(self.people)
            self.expected[name].append(f"{name} {len(self.expected[name])}")
            events.append(kafka.event("message.direct", {"user": name}, title=self.expected[name][-1]))
        kafka.produce(self.cluster.broker.address, "events.system-tests", events)

    def flow(self, seconds, during=None):
        began, turn = time.monotonic(), 0
        while time.monotonic() - began < seconds:
            self.send(self.random.randint(1, 6))
            if during:
                during(turn)
            turn += 1
            time.sleep(self.random.uniform(0, 0.4))

    def late(self):
        """Seconds from append to arrival of each frame, the longest first."""
        waits = []
        for name, client in self.clients.items():
            if not client.frames:
                continue
            key, appended = self.cluster.redis.ask("KEYS", f"inbox:{{*}}:{name}")[0], {}
            for _, fields in self.cluster.redis.ask("XRANGE", key, "-", "+"):
                entry = dict(zip(fields[::2], fields[1::2]))
                appended[entry["id"]] = int(entry["t"]) / 1000
            waits += [standstill.took(appended[frame.id], frame.at) for frame in client.frames]
        return sorted(waits, reverse=True)

    def settle(self):
        until(lambda: all(len(client.frames) >= len(self.expected[name]) for name, client in self.clients.items()),
              what=lambda: {name: len(self.expected[name]) - len(client.frames) for name, client in self.clients.items()})
        for name, client in self.clients.items():
            assert client.titles == self.expected[name], "all of it, once, in order"
            assert not client.closed.is_set(), (name, getattr(client, "refusal", None))
        late = self.late()
        print(f"{len(late)} frames; the latest after {[round(wait, 2) for wait in late[:5]]} s")
        assert late[0] < LATEST, late[:10]

    def close(self):
        for client in self.clients.values():
            client.close()


@pytest.fixture
def crowd(cluster, person):
    made = []

    def make(environment, polls=True):
        gateway = cluster.extra("gateway", f"gateway-lossy-{next(NUMBERS)}", environment)
        made.append((gateway, Crowd(cluster, gateway, person, polls)))
        return made[-1]
    yield make
    for gateway, people in made:
        people.close()
        gateway.end()


@pytest.mark.parametrize("how", ["dropped", "delayed", "some of each"])
def test_batches_dropped_and_delayed_on_the_wire(cluster, crowd, how):
    wire = RedisWire(cluster.redis.url.removeprefix("redis://"))
    try:
        gateway, people = crowd({"REDIS_URL": wire.url})
        before = gateway.metrics()["carillon_gateway_gaps_total"]
        wire.drop = {"dropped": 1, "some of each": 0.25}.get(how, 0)
        wire.delayed, wire.delay = {"delayed": 1, "some of each": 0.4}.get(how, 0), 3
        people.flow(3)
        people.settle()
        assert wire.dropped + wire.held > 1
        assert gateway.metrics()["carillon_gateway_gaps_total"] > before
    finally:
        wire.close()


def test_a_wire_that_speaks_nonsense_and_breaks(cluster, crowd):
    wire = RedisWire(cluster.redis.url.removeprefix("redis://"))
    try:
        # A poll that comes while Redis is away is asked to come back: whoever is connected need not know.
        gateway, people = crowd({"REDIS_URL": wire.url}, polls=False)
        people.flow(4, during=lambda turn: wire.garble() if turn % 8 == 4 else None)
        people.settle()
        assert gateway.lines("no RESP") and wire.accepted > 2
    finally:
        wire.close()


def test_what_is_told_besides_is_not_lost_either(cluster, crowd, person, request):
    """Of 100 batches none is heard: a read on one device shows on the other, a post on who watches its channel, and a
    revoked token's connection ends."""
    wire = RedisWire(cluster.redis.url.removeprefix("redis://"))
    wire.drop = 1
    request.addfinalizer(wire.close)
    gateway, _ = crowd({"REDIS_URL": wire.url})
    bob = person("bob")
    with Told(cluster, gateway, bob, "phone") as phone, Told(cluster, gateway, bob, "desk") as desk:
        cluster.produce(kafka.event("message.direct", {"user": bob}, title="one"))
        for device in (phone, desk):
            device.wait(1)
        began = time.time()
        phone.send({"id": 7, "rpc": {"method": "read", "data": {"cursor": phone.cursor}}})
        until(lambda: desk.counts, what="the count on the other device")
        assert desk.counts[-1]["unread"] == 0 and standstill.took(began) < LATEST and phone.counts == []
        room = person("room")
        with Watcher(phone.url, token=cluster.token(person("ann"), channels=[room])) as watcher:
            assert watcher.subscribe(f"channel:{room}")["recoverable"]
            cluster.produce(kafka.event("channel.post", {"channel": room}, title="posted"))
            assert watcher.wait_posts(1) == ["posted"]
            arrived = time.time()
            [(_, fields)] = cluster.redis.ask("XRANGE", f"channel:{{{room}}}", "-", "+")
            assert standstill.took(int(dict(zip(fields[::2], fields[1::2]))["t"]) / 1000, arrived) < LATEST
        began = time.time()
        answer = http.request("POST", gateway.url + "/v1/revocations", {"jti": f"{bob}-desk"}, cluster.key)
        assert answer.status == 200, answer
        desk.wait_closed()
        assert desk.code == 3500 and standstill.took(began) < LATEST and not phone.closed.is_set()


class Told(WebSocket):
    """A device that notes the counts it is told."""

    def __init__(self, cluster, gateway, person, device):
        self.counts, self.url = [], gateway.url.replace("http", "ws", 1) + "/connection/websocket"
        super().__init__(self.url, token=cluster.token(person, device=device, jti=f"{person}-{device}"))

    def said(self, message):
        if "message" in message.get("push", {}):
            self.counts.append(message["push"]["message"]["data"]["read"])
        else:
            super().said(message)


def commands(redis):
    """How often each command has been called."""
    lines = [line.partition(":") for line in redis.ask("INFO", "commandstats").split("\r\n") if line.startswith("cmdstat_")]
    return {name.removeprefix("cmdstat_"): int(values.split(",")[0].removeprefix("calls=")) for name, _, values in lines}


def test_idle_connections_cost_no_redis_command(cluster, tmp_path, person):
    redis = Redis(tmp_path, "redis-idle").start()
    gateway = cluster.extra("gateway", "gateway-idle", {
        "REDIS_URL": redis.url, "HANDSHAKE_TIMEOUT": "6s", "PING_INTERVAL": "60s", "PONG_TIMEOUT": "59s", "ADMISSION_RATE": 100_000,
        "SSE_COMMENT_INTERVAL": "1s"})  # the first pings come within the time for a handshake, and may be answered late
    people = [person(f"idle-{number}") for number in range(300)]
    readers = []
    try:
        readers += [Reader(gateway.url, name, cluster.token(name), "websocket" if number % 2 else "sse")
                    for number, name in enumerate(people)]
        read(readers, lambda reader: reader.greeting, 60, "connected")
        before, began = commands(redis), time.time()
        read(readers, lambda reader: reader.pings > 0, 60, "pinged, each")
        calls = {name: count - before.get(name, 0) for name, count in commands(redis).items() if count != before.get(name, 0)}
        ended = time.time()
        seconds = ended - began
        print(f"{calls} in {seconds:.1f} s")
        assert not any(reader.closed for reader in readers)
        assert calls.pop("info") == 1, "ours"
        # The lease's renewal once a second: `get` for the number of batches, a script for the lease and one for the generation, and
        # the commands that they call, of which each calls `hincrby`.
        assert set(calls) == {"evalsha", "hget", "get", "hincrby", "time", "hmget", "hset"}, calls
        assert standstill.took(began, ended) - 2 <= calls["get"] <= seconds + 2, calls
        assert all(count <= (2 if name in ("evalsha", "hincrby") else 1) * calls["get"] for name, count in calls.items()), calls
    finally:
        for reader in readers:
            reader.close()
        gateway.end()
        redis.end()
