"""Redis restarts, or a replica takes its place: all routes are back within 5 s, paced, and nothing is lost or doubled."""

import time

import pytest

import flow
from carillon import kafka, standstill
from carillon.cluster import Cluster
from carillon.readers import Reader, read
from carillon.servers import Redis
from carillon.waiting import until
from carillon.watching import Watcher

READERS, WATCHERS, WINDOW, LATENCY = 400, 10, 8, 0.02


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A cluster of its own, whose Redis is reached through a wire."""
    running = Cluster(tmp_path_factory.mktemp("failover"), gateways=1, wired=True)
    try:
        running.warm(flow.TOPIC)
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def gateway(site):
    running = site.extra("gateway", "gateway-paced", {"RECONCILE_WINDOW": WINDOW, "ADMISSION_RATE": 100_000, "PING_INTERVAL": "60s", "PONG_TIMEOUT": "50s"})
    yield running
    running.end()


def keys(redis, pattern):
    return redis.ask("KEYS", f"routes:{{*}}:{pattern}")


def forget(redis, pattern):
    """As if the one before had acknowledged these routes, and never got to pass them on."""
    found = keys(redis, pattern)
    assert len(found) == READERS
    redis.ask("DEL", *found)
    for kind in ("watchers", "listeners", "people", "presence:*"):
        for key in redis.ask("KEYS", f"channel:{{*}}:{kind}"):
            redis.ask("DEL", key)


def restart(site, lose):
    lose(site.redis)
    site.wire.down()
    site.redis.kill()
    site.redis.start()


def fail_over(site, lose):
    """The replica has all that was acknowledged but what `lose` takes away."""
    replica = Redis(site.directory, f"replica-{time.monotonic_ns()}")
    site.run(replica)
    replica.ask("REPLICAOF", "127.0.0.1", site.redis.port)
    until(lambda: "master_link_status:up" in replica.ask("INFO", "replication"), what="the replica is in step")
    site.wire.down()
    until(lambda: offset(site.redis, "master_repl_offset") == offset(replica, "slave_repl_offset"), what="it has all of it")
    site.redis.kill()
    replica.ask("REPLICAOF", "NO", "ONE")
    site.redis = replica
    lose(replica)
    site.wire.lead_to(replica.url.removeprefix("redis://"))


def offset(redis, name):
    return next(line.partition(":")[2] for line in redis.ask("INFO", "replication").split("\r\n") if line.startswith(name + ":"))


@pytest.mark.parametrize("how", [restart, fail_over])
def test_all_routes_are_back_and_nothing_is_lost(site, gateway, person, how):
    readers = [Reader(gateway.url, name, site.token(name), "websocket" if number % 2 else "sse")
               for number, name in enumerate(person(f"reader-{number}") for number in range(READERS))]
    room, base = person("room"), gateway.url.replace("http", "ws", 1) + "/connection/websocket"
    watchers = [Watcher(base, token=site.token(person(f"watcher-{number}"), channels=[room])) for number in range(WATCHERS)]
    crowd = flow.Crowd(site, person("crowd"), size=10)
    took = []

    def fault():
        how(site, lambda redis: forget(redis, person("reader-*")))
        # From here on every answer takes its time, so that the pace shows: a window at a time. Nobody reaches Redis before.
        site.wire.latency = LATENCY
        began = time.time()
        site.wire.up()
        until(lambda: len(keys(site.redis, person("reader-*"))) == READERS, what="all routes", every=0.1)
        took.append((time.time() - began, standstill.took(began)))
        site.wire.latency = 0
    try:
        read(readers, lambda reader: reader.greeting, 120, "connected")
        for watcher in watchers:
            assert watcher.subscribe(f"channel:{room}")["recoverable"]
        connections = [follower.connections for follower in crowd.followers]
        flow.run(site, crowd, seed=1, count=400, during=fault, fair=False)
        crowd.settle(90)
        assert [follower.connections for follower in crowd.followers] == connections, "a client lost its connection"
        [(by_clock, awake)] = took
        print(f"all routes back after {by_clock:.2f} s")
        assert READERS / WINDOW * LATENCY * 0.8 < by_clock and awake < 5, took
        assert not any(reader.closed for reader in readers)
        stats = {"num_clients": WATCHERS, "num_users": WATCHERS}
        until(lambda: watchers[0].ask(presence_stats={"channel": f"channel:{room}"})["presence_stats"] == stats,
              what="who watches is known again")
        site.produce(kafka.event("channel.post", {"channel": room}, title="posted"))
        assert all(watcher.wait_posts(1) == ["posted"] for watcher in watchers)
        assert len(gateway.lines("registering all connections again")) >= 1
        some = [*crowd.people, *(reader.person for reader in readers[:40])]
        until(lambda: all(user["connections"] == 1 for user in site.online(*some)), what="one route each")
    finally:
        site.wire.latency = 0
        site.wire.up()
        crowd.stop()
        for watcher in watchers:
            watcher.close()
        for reader in readers:
            reader.close()
        until(lambda: keys(site.redis, person("reader-*")) == [], what="their routes are gone")
