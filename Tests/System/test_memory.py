"""Memory stays small, also for what becomes very much: under 512 MB of addresses, and never more than 100 MB resident.

MEMORY_LONG=1 (make memory) takes the amounts that once took gigabytes; otherwise it is a tenth of them or less."""

import os
import time

import pytest

from carillon import http, kafka, memory
from carillon.waiting import until

pytestmark = pytest.mark.skipif("KAFKA_HOME" not in os.environ, reason="the mock cluster keeps 5 MB a partition; set KAFKA_HOME")
LONG = "MEMORY_LONG" in os.environ
ADDRESSES = 512 * memory.MEGABYTE
RESIDENT = 100  # MB


def stays_small(service, done, what):
    """Once `done`, it has never held more than it may, nor does it afterwards."""
    until(done, 1_800, what, every=0.5)
    time.sleep(3)
    peak, rest = (memory.held(service.pid, name) for name in ("VmHWM", "VmRSS"))
    print(f"{service.name}: peak {peak:.0f} MB, at rest {rest:.0f} MB")
    assert service.runs and peak < RESIDENT and rest < RESIDENT, (peak, rest)


def test_large_events_for_a_thousand_people_each(cluster):
    events = 250 if LONG else 12
    service = cluster.extra("notification-service", "notification-memory", {
        "NAMESPACE": "memory", "EVENT_MAX_EXPANSION": "64MB"}, addresses=ADDRESSES)
    people = [f"memory-{number}" for number in range(1_000)]
    try:
        kafka.produce(cluster.broker.address, "memory.events.bulk", [
            kafka.event("marketing.offer", {"users": people}, body="x" * 29_000) for _ in range(events)])
        stays_small(service, lambda: written(service) >= events * 1_000, lambda: f"all; {written(service)} are written")
    finally:
        service.end()


def written(service):
    return sum(value for name, value in service.metrics().items() if name.startswith("carillon_notification_records_total"))


def test_a_post_to_a_channel_of_people_who_are_away(cluster):
    space, members = {"NAMESPACE": "memory-post"}, 300_000 if LONG else 20_000
    worker = cluster.extra("fanout-worker", "fanout-memory", space, addresses=ADDRESSES)
    service = cluster.extra("notification-service", "notification-post", space)
    try:
        for begin in range(0, members, 1_000):
            names = [f"away-{number}" for number in range(begin, begin + 1_000)]
            answer = http.request("PUT", f"{worker.url}/v1/audiences/{http.quote('channel:crowd')}/members", {"members": names}, cluster.key)
            assert answer.status == 200
        kafka.produce(cluster.broker.address, "memory-post.events.post", [
            kafka.event("channel.post", {"channel": "crowd"}, body="x" * 2_000)])
        stays_small(worker, lambda: pushed(worker) >= members, lambda: f"all; {pushed(worker)} are pushed")
    finally:
        worker.end()
        service.end()


def pushed(worker):
    return sum(value for name, value in worker.metrics().items() if name.startswith("carillon_fanout_pushes_total"))
