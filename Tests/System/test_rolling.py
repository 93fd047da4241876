"""Three gateways are restarted one after another under a stream of events: nobody loses or sees twice, nobody is stormed.

In every run with 100 clients for each gateway; `make rolling` has 5,000, the default window and the descriptors for it."""

import asyncio
import http.client
import random
import signal
import threading
import time

import pytest

from carillon import kafka
from carillon.fleet import Fleet, size
from carillon.waiting import until

CLIENTS = size(100)
IS_WHOLE = CLIENTS >= 1000
RATE = 500 if IS_WHOLE else 50
WINDOW = 20 if IS_WHOLE else 3


class Watch:
    """Counts what each gateway has let in, often, and holds it against the rate: from the outside no window between two looks
    may hold more than a bucket of a tenth and nine tenths a second."""

    def __init__(self, gateways):
        self.gateways, self.samples, self.stopping = gateways, {gateway.name: [] for gateway in gateways}, False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.stopping:
            for gateway in self.gateways:
                before = time.monotonic()
                try:
                    count = gateway.metrics()["carillon_gateway_admissions_total"]
                except (OSError, http.client.HTTPException, KeyError, AssertionError, ValueError):
                    continue
                self.samples[gateway.name].append((before, time.monotonic(), count))
            time.sleep(0.2)

    def stop(self):
        self.stopping = True
        self.thread.join(10)

    def highest(self):
        """Of all gateways and all windows of a second or little more: newcomers, as a part of what the rate allows."""
        highest = 0.0
        for samples in self.samples.values():
            for index, (began, _, count) in enumerate(samples):
                for _, ended, later in samples[index + 1:]:
                    if later < count or ended - began > 3:
                        break  # a new process counts from 0
                    if ended - began >= 1:
                        highest = max(highest, (later - count) / (RATE / 10 + 0.9 * RATE * (ended - began)))
        return highest


@pytest.fixture
def gateways(cluster):
    settings = {"ADMISSION_RATE": RATE, "DRAIN_WINDOW": f"{WINDOW}s", "RETRY_DELAY": "1s"}
    running = [cluster.extra("gateway", f"gateway-rolling-{number}", settings) for number in (1, 2, 3)]
    yield running
    for gateway in running:
        gateway.end()


@pytest.mark.rolling
def test_a_rolling_restart(cluster, gateways, person):
    people = [person(str(number)) for number in range(3 * CLIENTS)]
    expected = {name: [] for name in people}
    watch = Watch(gateways)
    try:
        asyncio.run(roll(cluster, gateways, people, expected))
    finally:
        watch.stop()
    highest = watch.highest()
    print(f"busiest second: {highest:.0%} of what {RATE} a second allow")
    assert 0 < highest <= 1


async def roll(cluster, gateways, people, expected):
    ports = {gateway.name: gateway.port for gateway in gateways}
    async with Fleet(ports, people, cluster.token) as fleet:
        took = await fleet.until(lambda: fleet.up == len(people), 120 + 3 * CLIENTS / RATE, lambda: f"{fleet.up} are up")
        print(f"{fleet.up} clients up after {took:.1f} s, {fleet.refused} times asked to come back")
        assert fleet.refused > 0, "so many at once pass the rate"
        feeder = asyncio.create_task(feed(cluster, people, expected))
        for gateway in gateways:
            await restart(fleet, gateway)
        feeder.cancel()
        await asyncio.gather(feeder, return_exceptions=True)
        devices = {device.person: device for device in fleet.devices}

        def complete():
            return all(len(devices[name].titles) >= len(titles) for name, titles in expected.items())
        await fleet.until(complete, 120, lambda: f"{sum(len(d.titles) for d in fleet.devices)} of "
                          f"{sum(map(len, expected.values()))} came")
        for name, titles in expected.items():
            device = devices[name]
            assert device.faults == [] and device.unrecovered == 0, name
            assert sorted(device.titles) == sorted(titles), name
        codes = {code for device in fleet.devices for code in device.codes}
        assert codes <= {3001}, codes
        print(f"{sum(map(len, expected.values()))} notifications to {len(people)} people, none lost, none twice")


async def restart(fleet, gateway):
    """SIGTERM, and what follows until everybody is back and the gateway too."""
    moved = fleet.at(gateway.name)
    assert len(moved) > CLIENTS / 3
    began = time.monotonic()
    gateway.send(signal.SIGTERM)
    left = {device: None for device in moved}
    while any(device.gateway == gateway.name or not device.is_up for device in left):
        assert time.monotonic() - began < WINDOW + 60, f"{sum(not d.is_up for d in left)} of {len(left)} are not back"
        await asyncio.sleep(0.05)
    took = time.monotonic() - began
    status = await asyncio.to_thread(gateway.process.wait, WINDOW + 60)
    print(f"{gateway.name}: {len(moved)} clients moved in {took:.1f} s")
    assert status == 0
    await asyncio.to_thread(gateway.start)


async def feed(cluster, people, expected):
    """Twice a second something for up to 1,000 people, until cancelled."""
    chance = random.Random(1)
    flow = kafka.Flow(cluster.broker.address, "events.system-tests")
    try:
        for number in range(100_000):
            some = chance.sample(people, min(len(people) // 2, 1000))
            flow.write([kafka.event("message.direct", {"users": some}, title=str(number))])
            for name in some:
                expected[name].append(str(number))
            await asyncio.sleep(0.5)
    finally:
        await asyncio.to_thread(flow.close)
