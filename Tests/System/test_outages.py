"""Redis and the broker stop for ten seconds and return: nothing lost, nothing doubled, nobody swept for it."""

import random
import signal
import time

import pytest

import flow
from carillon import kafka, standstill
from carillon.servers import SERVICES
from carillon.waiting import until

pytestmark = pytest.mark.faults
OUTAGE = 10  # seconds
USERS = {"redis": ("fanout-worker", "gateway", "presence-service", "push-service"),
         "kafka": ("notification-service", "fanout-worker", "push-service")}


def stop(server, how):
    if how == "stopped":
        server.send(signal.SIGSTOP)
    elif getattr(server, "mock", False):
        server.down()
    else:
        assert server.terminate(120) in (0, 143)


def go_on(server, how):
    if how == "stopped":
        server.send(signal.SIGCONT)
    elif getattr(server, "mock", False):
        server.up()
    else:
        server.start()


@pytest.mark.parametrize("how", ["stopped", "restarted"])
@pytest.mark.parametrize("name", ["redis", "kafka"])
def test_outage(cluster, name, how, seed):
    server = cluster.redis if name == "redis" else cluster.broker
    services = [instance for service in USERS[name] for instance in cluster.services[service]]
    crowd = flow.Crowd(cluster, f"outage-{name}-{how}-{seed}", size=10)
    marks = {instance: len(instance.output()) for instance in cluster.all()}
    connections = [follower.connections for follower in crowd.followers]
    noticed = set()
    try:
        flow.run(cluster, crowd, seed, count=200)
        until(lambda: crowd.arrived >= 200, 120, crowd.missing)
        # A burst, and the outage on its heels: what is under way when it begins is what may be lost or doubled.
        kafka.produce(cluster.broker.address, flow.TOPIC, crowd.events(200, random.Random(seed)))
        began = time.time()
        stop(server, how)
        try:
            if name == "redis":  # the broker takes events while Redis is away
                flow.run(cluster, crowd, seed + 1, count=100)
            # Longer where it takes long until all have noticed.
            while time.time() - began < OUTAGE or (len(noticed) < len(services) and standstill.took(began) < 6 * OUTAGE):
                noticed |= {instance.name for instance in services if instance.dependency(name) == 0}
                time.sleep(0.2)
        finally:
            go_on(server, how)
        until(lambda: all(instance.dependency(name) == 1 for instance in services), 120,
              lambda: f"{name} up again: {[(instance.name, instance.dependency(name)) for instance in services]}")
        flow.run(cluster, crowd, seed + 2, count=200)
        crowd.settle()
        assert [follower.connections for follower in crowd.followers] == connections, "a client lost its connection"
        assert all(user["online"] and user["connections"] == 1 for user in cluster.online(*crowd.people)), "somebody was swept"
    finally:
        crowd.stop()
    for instance in cluster.all():
        assert instance.runs, instance.name
        lines = instance.output()[marks[instance]:].splitlines()
        mine = [line for line in lines if f"dependency={name}" in line]
        down = [line for line in mine if 'message="dependency is down"' in line]
        up = [line for line in mine if 'message="dependency is up again"' in line]
        if instance in services:
            assert instance.name in noticed, f"{instance.name} did not show it in carillon_dependency_up"
            assert len(down) == len(up) == 1, (instance.name, mine)
        else:
            assert mine == [], (instance.name, mine)
        assert len(lines) < 40, (instance.name, "an outage is one line each way, not a flood", lines[:40])


def test_newcomers_are_asked_to_come_back_while_redis_is_away(cluster, person):
    from carillon import http
    from carillon.clients import Refused
    bob = person("bob")
    client = cluster.websocket(bob)
    cluster.redis.send(signal.SIGSTOP)
    try:
        gateway = cluster.gateways[0]
        until(lambda: gateway.dependency("redis") == 0, what="the gateway notices")
        stream = http.request("GET", gateway.url + "/connection/sse", headers=cluster.bearer(bob))
        assert stream.status == 200 and stream.body.startswith(b"retry:")
        with pytest.raises(Refused) as refusal:
            cluster.websocket(bob, gateway)
        assert refusal.value.code == 503 or 3000 <= refusal.value.code < 3500 or refusal.value.code == 100
        assert http.answers(gateway.operations + "/health/ready"), "an outage of Redis does not make it unready"
        assert not client.closed.is_set(), "whoever is connected stays so"
    finally:
        cluster.redis.send(signal.SIGCONT)
        until(lambda: all(instance.dependency("redis") == 1 for service in USERS["redis"] for instance in cluster.services[service]),
              what="Redis is up again")
    client.close()


def test_all_services_are_still_those_that_were_started(cluster):
    assert all(instance.runs for instance in cluster.all()), cluster.describe()
    assert set(cluster.services) == set(SERVICES)
