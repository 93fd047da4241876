"""SIGKILL of each service while 1,000 events flow: every event arrives exactly once, in order for one record key."""

import random
import time

import pytest

import flow
from carillon import kafka
from carillon.servers import SERVICES
from carillon.waiting import until

pytestmark = pytest.mark.faults
RECOVERED = 90  # seconds for a consumer group to come back (15) and for all that waited


@pytest.mark.parametrize("service", SERVICES)
@flow.counted
def test_kill(cluster, service, seed):
    victim = cluster[service]
    if service == "push-service":
        push_service_killed(cluster, victim, seed)
        return
    crowd = flow.Crowd(cluster, f"kill-{service}-{seed}")
    pause = random.Random(seed + 1).uniform(0, 1)

    def fall():
        victim.kill()

    try:
        flow.run(cluster, crowd, seed, during=fall)
        time.sleep(pause)
        victim.start()
        crowd.settle(RECOVERED)
    finally:
        crowd.stop()
        if not victim.runs:
            victim.start()


def push_service_killed(cluster, victim, seed):
    """People who are offline: each event is pushed, and one that is pushed again carries the same apns-id."""
    chance = random.Random(seed)
    people = [f"kill-push-{seed}-{number}" for number in range(20)]
    tokens = {person: f"{seed % 2**32:08x}{number:056x}" for number, person in enumerate(people)}
    for person, token in tokens.items():
        assert cluster.device(person, token).status < 300
    sent = {person: [] for person in people}
    events = []
    for _ in range(1000):
        person = chance.choice(people)
        sent[person].append(f"{person} {len(sent[person])}")
        events.append(kafka.event("message.direct", {"user": person}, title=sent[person][-1]))

    def received():
        return {person: [(push["payload"]["aps"]["alert"]["title"], push["apnsId"]) for push in cluster.apns.received(token)
                         if push["status"] == 200] for person, token in tokens.items()}

    def count(seen):
        return sum(len(set(pushes)) for pushes in seen.values())

    flowing = kafka.Flow(cluster.broker.address, flow.TOPIC)
    at, written, fell, began = chance.uniform(0.25, 0.55), 0, None, time.monotonic()
    try:
        while written < 1000 or fell is None:
            due = min(1000 if fell else int(1000 * flow.MOST), int((time.monotonic() - began) * flow.PACE))
            flowing.write(events[written:due])
            written = due
            if fell is None and count(received()) >= at * 1000:
                victim.kill()
                fell = count(received()) / 1000
                began = time.monotonic() - written / flow.PACE
            assert time.monotonic() - began < 180, "stuck"
            time.sleep(0.01)
        flowing.close()
        flow.fell(fell)
        victim.start()
        until(lambda: count(received()) >= 1000, RECOVERED, lambda: f"1000 pushes; {count(received())} came")
        time.sleep(1)
        for person, pushes in received().items():
            assert len({title for title, _ in pushes}) == len(set(pushes)), "a push that came again under another apns-id"
            assert {title for title, _ in pushes} == set(sent[person])
    finally:
        if not victim.runs:
            victim.start()


@pytest.mark.parametrize("service", ["notification-service", "fanout-worker", "gateway", "push-service"])
@flow.counted
def test_sigterm_in_the_middle_loses_nothing(cluster, service, seed):
    """A drain: the service ends by itself, in time, with status 0, and its successor goes on where it stopped."""
    victim = cluster[service]
    crowd = flow.Crowd(cluster, f"drain-{service}-{seed}", size=10)
    status = []
    try:
        flow.run(cluster, crowd, seed, count=400, during=lambda: status.append(victim.terminate(25)), between=(0.3, 0.5))
        victim.start()
        crowd.settle(RECOVERED)
        assert status == [0]
    finally:
        crowd.stop()
        if not victim.runs:
            victim.start()
