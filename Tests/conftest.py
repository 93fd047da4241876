"""One cluster for the session: tests keep apart by people of their own."""

import itertools
import os
import pathlib
import re

import pytest

from carillon.cluster import Cluster
from carillon.seed import SEED, chance

NUMBERS = itertools.count(1)
CLUSTERS = []


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    running = Cluster(tmp_path_factory.mktemp("cluster"))
    CLUSTERS.append(running)
    try:
        running.warm("events.system-tests", "events.social", "events.conformance", "events.flow")
        yield running
    finally:
        running.stop()
        CLUSTERS.remove(running)


@pytest.fixture
def person(request):
    """A person whom no other test knows; called with a name, one more of them."""
    base = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:60]
    number = next(NUMBERS)

    def named(name="p"):
        return f"{base}-{number}-{name}"
    return named


def seeds():
    """The seeds of a fault test, FAULT_SEEDS of them (1), the run's own first; printed in the test's name. `TEST_SEED` set to one
    of those repeats it."""
    more = chance("faults")
    return [SEED] + [more.randrange(1_000_000) for _ in range(int(os.environ.get("FAULT_SEEDS", "1")) - 1)]


def pytest_generate_tests(metafunc):
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", seeds())


@pytest.fixture(autouse=True)
def on_failure(request):
    """What the suite logged during a test that failed stands in its report."""
    before = [(process, process.log.stat().st_size if process.log.exists() else 0)
              for running in CLUSTERS for process in running.processes]
    yield
    report = getattr(request.node, "call_report", None)
    if report is None or not report.failed:
        return
    known = {process: size for process, size in before}
    for running in CLUSTERS:
        for process in running.processes:
            if process.name in ("kafka", "apns") or not process.log.exists():
                continue
            with open(process.log, "rb") as log:
                log.seek(known.get(process, 0))
                lines = log.read().decode(errors="replace").splitlines()
            if lines:
                print(f"--- {process.name}\n" + "\n".join(lines[-15:]))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    report = (yield).get_result()
    if report.when == "call":
        item.call_report = report


def pytest_report_header():
    broker = os.environ.get("KAFKA_HOME")
    return [f"TEST_SEED={SEED}",
            "broker: " + (f"Kafka at {pathlib.Path(broker).resolve()}" if broker else "the mock cluster in librdkafka")]
