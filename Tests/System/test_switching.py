"""One cursor for three transports, and WebSocket in two codecs: whoever changes among them in mid-flow sees everything once and in order."""

import collections
import random
import threading
import time

from carillon import kafka
from carillon.clients import position
from carillon.waiting import until

TRANSPORTS = ("websocket", "protobuf", "event_stream", "poll")
PEOPLE, SWITCHES = 25, 40  # 1,000 in all
PACE = 400  # events a second


class Switcher:
    """A person whose device changes its transport, and where it connects, again and again, and keeps only a cursor."""

    def __init__(self, cluster, person, seed):
        self.cluster, self.person, self.random = cluster, person, random.Random(seed)
        self.titles, self.cursor, self.by = [], None, collections.Counter()
        self.faults, self.switches, self.wanted = [], 0, None
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        try:
            while self.switches < SWITCHES:
                self.follow(self.random.uniform(0, 0.4))
            until(lambda: self.wanted is not None, 300, "the end of the flow")
            while len(self.titles) < self.wanted:
                before = len(self.titles)
                self.follow(60, self.wanted - before)
                assert len(self.titles) > before, f"{before} of {self.wanted} came"
        except Exception as fault:
            self.faults.append(repr(fault))

    def follow(self, seconds, count=1 << 30):
        """One connection, for so long or until so many have come; half of them end without a word."""
        transport = self.random.choice(TRANSPORTS)
        place = self.random.choice([None, *self.cluster.gateways])
        receiver = getattr(self.cluster, transport)(self.person, place, self.cursor)
        self.switches += 1
        self.by[transport] += 1
        if self.cursor is None:
            self.cursor = receiver.cursor
        elif not receiver.recovered:
            self.faults.append(f"{transport}: not recovered")
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and len(receiver.frames) < count:
            time.sleep(0.005)
        if receiver.closed.is_set():
            self.faults.append(f"{transport}: closed by the gateway")
        # What arrives from here on is not seen: it must come again.
        frames = list(receiver.frames)
        receiver.close()
        for frame in frames:
            epoch, offset = position(frame.cursor)
            known_epoch, known = position(self.cursor)
            if epoch != known_epoch or offset != known + 1:
                self.faults.append(f"{transport}: {frame.cursor} after {self.cursor}")
            self.cursor = frame.cursor
            self.titles.append(frame.notification["title"])
            self.by[transport + " frames"] += 1


def test_a_thousand_switches_among_three_transports(cluster, person, seed):
    print(f"seed {seed}")
    chance = random.Random(seed)
    crowd = [Switcher(cluster, person(f"switcher-{number}"), chance.random()) for number in range(PEOPLE)]
    # From before the first event on, so that nothing precedes the first cursor.
    for switcher in crowd:
        switcher.follow(0)
        switcher.thread.start()
    expected = {switcher.person: [] for switcher in crowd}
    flow = kafka.Flow(cluster.broker.address, "events.flow")
    begun, written = time.monotonic(), 0
    while any(switcher.switches < SWITCHES and switcher.thread.is_alive() for switcher in crowd):
        events = []
        while written < (time.monotonic() - begun) * PACE:
            name = chance.choice(crowd).person
            expected[name].append(f"{name} {len(expected[name])}")
            events.append(kafka.event("message.direct", {"user": name}, title=expected[name][-1]))
            written += 1
        if events:
            flow.write(events)
        time.sleep(0.02)
    flow.close()
    for switcher in crowd:
        switcher.wanted = len(expected[switcher.person])
    for switcher in crowd:
        switcher.thread.join(300)
    total = sum((switcher.by for switcher in crowd), collections.Counter())
    print(f"{written} events in {time.monotonic() - begun:.1f} s; {dict(total)}")
    for switcher in crowd:
        assert not switcher.faults, switcher.faults[:5]
        assert switcher.titles == expected[switcher.person]
    assert sum(switcher.switches for switcher in crowd) >= 1000
    assert all(total[transport] > 150 and total[transport + " frames"] > 0 for transport in TRANSPORTS)
