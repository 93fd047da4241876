"""A gateway that dies for good is swept; one that drains says good-bye."""

import itertools
import signal

import pytest

from carillon import kafka
from carillon.clients import Follower
from carillon.waiting import until

NUMBERS = itertools.count(1)


@pytest.fixture
def gateway(cluster):
    running = cluster.extra("gateway", f"gateway-leased-{next(NUMBERS)}")
    yield running
    running.end()


def routes(cluster, gateway):
    """How many routes Redis holds for this gateway's connections."""
    name = gateway.environment["INSTANCE_ID"]
    found = 0
    for key in cluster.redis.ask("KEYS", "connections:*"):
        if f":{name}#" in key:
            found += cluster.redis.ask("SCARD", key)
    return found


def leases(cluster, gateway):
    fields = cluster.redis.ask("HGETALL", "gateways")[::2]
    return [field for field in fields if field.startswith(gateway.environment["INSTANCE_ID"] + "#")]


def test_what_a_dead_gateway_owned_is_swept(cluster, person, gateway):
    bob, carol, token = person("bob"), person("carol"), "5e" * 32
    cluster.device(bob, token)
    first, second = cluster.websocket(bob, gateway), cluster.websocket(carol, gateway)
    elsewhere = cluster.websocket(carol, cluster.gateways[0])
    assert routes(cluster, gateway) == 2 and len(leases(cluster, gateway)) == 1
    gateway.kill()
    first.wait_closed()
    second.wait_closed()
    until(lambda: cluster.online(bob, carol) == [{"user": bob, "online": False, "connections": 0},
                                                 {"user": carol, "online": True, "connections": 1}], what=lambda: cluster.online(bob, carol))
    until(lambda: routes(cluster, gateway) == 0 and leases(cluster, gateway) == [], what="nothing left of it")
    for name in (bob, carol):
        cluster.produce(kafka.event("message.direct", {"user": name}, title="after the sweep"))
    elsewhere.wait_title("after the sweep")
    until(lambda: cluster.apns.received(token), what="the push to the person who is offline now")
    elsewhere.close()


def test_an_event_before_the_sweep_is_pushed_as_to_one_without_a_route(cluster, person, gateway):
    """Append before route: if no gateway received it, the person counts as one without a route."""
    bob, token = person("bob"), "6e" * 32
    cluster.device(bob, token)
    cluster.websocket(bob, gateway)
    cluster["presence-service"].send(signal.SIGSTOP)  # no sweep comes first, however slow the machine is
    try:
        gateway.kill()
        cluster.produce(kafka.event("message.direct", {"user": bob}, title="to nobody's gateway"))
        until(lambda: cluster.apns.received(token), what="the push")
        assert leases(cluster, gateway) != []
    finally:
        cluster["presence-service"].send(signal.SIGCONT)


def test_a_gateway_that_drains_sends_its_clients_elsewhere_and_leaves_nothing(cluster, person, gateway):
    bob, carol = person("bob"), person("carol")
    socket, stream = cluster.websocket(bob, gateway), cluster.event_stream(carol, gateway)
    assert gateway.terminate(25) == 0
    socket.wait_closed()
    stream.wait_closed()
    assert 3000 <= socket.code < 3500, "a code that SDKs reconnect after"
    until(lambda: not any(user["online"] for user in cluster.online(bob, carol)), 3, "both offline at once, not after a sweep")
    assert routes(cluster, gateway) == 0 and leases(cluster, gateway) == []


def test_a_frozen_gateway_that_wakes_up_after_its_sweep_registers_anew(cluster, person, gateway):
    """A lease is a counter that advances: it finds its counter gone and registers all its connections again."""
    bob = person("bob")
    client = cluster.websocket(bob, gateway)
    gateway.send(signal.SIGSTOP)
    try:
        until(lambda: not cluster.online(bob)[0]["online"], what="it is swept")
        cluster.produce(kafka.event("message.direct", {"user": bob}, title="while it slept"))
        until(lambda: cluster.inbox(bob)["unread"] == 1, what="in the inbox")
    finally:
        gateway.send(signal.SIGCONT)
    until(lambda: cluster.online(bob)[0]["online"], what="registered again")
    cluster.produce(kafka.event("message.direct", {"user": bob}, title="awake"))
    client.wait_title("awake")
    assert client.titles == ["while it slept", "awake"]
    client.close()


def test_a_redis_that_forgot_everything(cluster, person, gateway):
    """A lease is a counter that advances: the gateway finds its own gone and registers all its connections again. Recovery is
    not faked."""
    bob = person("bob")
    follower = Follower(lambda cursor: cluster.websocket(bob, gateway, cursor=cursor))
    try:
        cluster.produce(kafka.event("message.direct", {"user": bob}, title="before"))
        follower.wait(1)
        cluster.redis.ask("FLUSHALL")
        # Its route is there before its client has been told that its history is lost: what comes between is not shown.
        until(lambda: follower.unrecovered and cluster.online(bob)[0]["online"], what="registered again, and told")
        cluster.produce(kafka.event("message.direct", {"user": bob}, title="after"))
        follower.wait(2)
        assert follower.titles == ["before", "after"] and follower.repeated == []
    finally:
        follower.stop()


def test_a_namespace_shares_the_servers_and_nothing_else(cluster, person, tmp_path):
    bob, other = person("bob"), {"NAMESPACE": "staging"}
    services = [cluster.extra(service, f"{service}-staging", other) for service in ("notification-service", "fanout-worker", "gateway")]
    try:
        with cluster.websocket(bob) as here, cluster.websocket(bob, services[2]) as there:
            cluster.produce(kafka.event("message.direct", {"user": bob}, title="production"))
            cluster.produce(kafka.event("message.direct", {"user": bob}, title="staging"), "staging.events.social")
            here.wait_title("production")
            there.wait_title("staging", timeout=120)
            assert here.titles == ["production"] and there.titles == ["staging"]
        keys = [key for key in cluster.redis.ask("KEYS", "*") if bob in key]
        assert any(key.startswith("staging:") for key in keys) and any(not key.startswith("staging:") for key in keys)
    finally:
        for service in services:
            assert service.terminate() == 0
