"""What is ready on a real broker: a service whose groups have given it its part, be it none."""

import os
import subprocess
import time

import pytest

from carillon import http
from carillon.cluster import Service
from carillon.servers import Apns, RealBroker, Redis, binaries
from carillon.waiting import until

pytestmark = pytest.mark.skipif("KAFKA_HOME" not in os.environ, reason="the mock's groups settle at once: set KAFKA_HOME")

# How long the broker lets a new group wait for further members, in seconds.
DELAY = 4
READERS = ("notification-service", "fanout-worker", "push-service")


class Site:
    """What a service is started on, on its own."""

    edge_url = ""

    def __init__(self, directory):
        self.directory, self.processes = directory, []
        self.redis, self.apns = self.run(Redis(directory)), self.run(Apns(directory))
        self.redis_url = self.redis.url
        self.broker = self.run(RealBroker(os.environ["KAFKA_HOME"], directory, group_initial_rebalance_delay_ms=DELAY * 1000))

    def run(self, process, wait=True):
        self.processes.append(process)
        return process.start(wait=wait)


@pytest.fixture
def site(tmp_path):
    standing = Site(tmp_path)
    yield standing
    for process in reversed(standing.processes):
        process.end()


def status(service):
    try:
        return http.request("GET", service.operations + "/health/ready").status
    except OSError:
        return None


def test_ready_waits_for_the_first_assignment_be_it_empty(site):
    for lane in ("high", "normal", "low"):
        subprocess.run([site.broker.home / "bin/kafka-topics.sh", "--bootstrap-server", site.broker.address, "--create", "--topic",
                        "notifications." + lane, "--partitions", "1"], check=True, capture_output=True)
    subprocess.run([binaries() / "carillon-local", "topics"], check=True, capture_output=True,
                   env=os.environ | {"KAFKA_BROKERS": site.broker.address})
    began = time.monotonic()
    first = [site.run(Service(site, name, 1), wait=False) for name in READERS]
    for service in first:
        until(lambda: status(service) is not None, 60, service.tail)
    # The broker gives out nothing before its delay has passed; whoever says that it is ready before says what is not so.
    seen = {service.name: status(service) for service in first}
    if time.monotonic() - began < DELAY:
        assert set(seen.values()) == {503}, seen
    for service in first:
        until(lambda: status(service) == 200, 60, service.tail)
        assert "the group gave this member" in service.log.read_text(), "ready before its groups"
    assert time.monotonic() - began >= DELAY
    # As many members as there are partitions, and one more, who is ready without any.
    second = site.run(Service(site, "fanout-worker", 2), wait=False)
    until(lambda: status(second) == 200, 60, second.tail)
    third = site.run(Service(site, "fanout-worker", 3), wait=False)
    until(lambda: status(third) == 200, 60, third.tail)
