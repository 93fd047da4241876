"""Instances that join, leave, freeze and stay dead while events flow: nothing lost, nothing doubled, each person's in order."""

import itertools
import random
import signal
import time

import pytest

import flow
from carillon.waiting import until

pytestmark = pytest.mark.faults
NUMBERS = itertools.count(1)


@pytest.mark.parametrize("service", ["notification-service", "fanout-worker"])
def test_another_instance_joins_and_is_killed(cluster, service, seed):
    """Two rebalances in one flow: one when it joins, one when the broker gives it up for dead."""
    crowd = flow.Crowd(cluster, f"joins-{service}-{seed}", size=10)
    joined = []
    try:
        flow.run(cluster, crowd, seed, count=500, fair=False,
                 during=lambda: joined.append(cluster.extra(service, f"{service}-joins-{next(NUMBERS)}")))
        until(lambda: crowd.arrived >= crowd.awaited, 120, crowd.missing)
        flow.run(cluster, crowd, seed + 1, count=500, during=joined[0].kill, between=(0.6, 0.8), fair=False)
        crowd.settle()
    finally:
        crowd.stop()
        for instance in joined:
            instance.end()


@pytest.mark.parametrize("service", ["notification-service", "fanout-worker"])
@flow.counted
def test_a_frozen_instance_that_wakes_up_after_it_was_replaced(cluster, service, seed):
    """A zombie: its partitions went to another while it slept, and what it then writes must not count."""
    frozen = cluster[service]
    crowd = flow.Crowd(cluster, f"zombie-{service}-{seed}", size=10)
    other = cluster.extra(service, f"{service}-replaces-{next(NUMBERS)}")
    try:
        flow.run(cluster, crowd, seed, count=500, during=lambda: frozen.send(signal.SIGSTOP))
        until(lambda: crowd.arrived >= crowd.awaited, 120, crowd.missing)
        frozen.send(signal.SIGCONT)
        flow.run(cluster, crowd, seed + 1, count=300)
        crowd.settle()
    finally:
        frozen.send(signal.SIGCONT)
        crowd.stop()
        other.terminate()  # it leaves its group: a killed one would hold its partitions for the session's time-out


@flow.counted
def test_a_gateway_that_stays_dead(cluster, seed):
    """Its people come back through the edge to the gateway that is left, with their cursors."""
    crowd = flow.Crowd(cluster, f"stays-dead-{seed}")
    # One that holds somebody: the edge may have passed over a gateway that did not answer it in time.
    chance = random.Random(seed)
    victim = chance.choice(cluster.holders(chance.choice(crowd.people)))
    try:
        flow.run(cluster, crowd, seed, during=victim.kill)
        crowd.settle()
        assert max(follower.connections for follower in crowd.followers) > 1, "somebody had to move"
    finally:
        victim.start()
        crowd.stop()


@flow.counted
def test_redis_is_killed_in_the_flow(cluster, seed):
    """What it acknowledged is on its disk; what it did not is done again."""
    crowd = flow.Crowd(cluster, f"redis-killed-{seed}", size=10)
    try:
        def killed():
            cluster.redis.kill()
            time.sleep(random.Random(seed).uniform(0, 2))
            cluster.redis.start()
        flow.run(cluster, crowd, seed, during=killed)
        crowd.settle()
    finally:
        if not cluster.redis.runs:
            cluster.redis.start()
        crowd.stop()
