"""A flow of numbered events to a crowd, and the count of what came of it."""

import functools
import random
import time

from carillon import kafka
from carillon.clients import Follower
from carillon.waiting import until

TOPIC = "events.flow"
PACE = 250  # events a second
MOST = 0.75  # of the events, written before the fault


class DoesNotCount(AssertionError):
    """The fault fell before 20 % or after 80 % had arrived: nothing is known from that run."""


def counted(test):
    """Runs a fault test again, twice at most and with another seed, where its fault did not fall in the middle."""
    @functools.wraps(test)
    def repeated(*, seed, **named):
        for attempt in range(3):
            try:
                return test(seed=seed + attempt * 1_000_000, **named)
            except DoesNotCount as why:
                if attempt == 2:
                    raise
                print(f"{why}; once more with seed {seed + (attempt + 1) * 1_000_000}")
    return repeated


def fell(part):
    """`part`: of the events, how many had arrived when the fault fell."""
    if not 0.2 <= part <= 0.8:
        raise DoesNotCount(f"the fault fell when {part:.0%} had arrived")


class Crowd:
    """People whose devices follow, one by WebSocket, in either codec, and the next by event stream, through the edge."""

    def __init__(self, cluster, name, size=20):
        self.cluster, self.people = cluster, [f"{name}-{number}" for number in range(size)]
        self.followers = [self.follow(number) for number in range(size)]
        self.expected = {person: [] for person in self.people}

    def follow(self, number):
        person = self.people[number]
        ways = [self.cluster.websocket, self.cluster.event_stream, self.cluster.protobuf, self.cluster.event_stream]
        connect = ways[number % len(ways)]
        return Follower(lambda cursor: connect(person, cursor=cursor))

    def events(self, count, random):
        """`count` events in a random order of people; each person's are numbered."""
        made = []
        for _ in range(count):
            person = random.choice(self.people)
            title = f"{person} {len(self.expected[person])}"
            self.expected[person].append(title)
            made.append(kafka.event("message.direct", {"user": person}, title=title))
        return made

    @property
    def arrived(self):
        return sum(len(follower.frames) for follower in self.followers)

    @property
    def awaited(self):
        return sum(len(titles) for titles in self.expected.values())

    def settle(self, timeout=120):
        """Everything has come, nothing came twice, each person's in order; a second later still."""
        until(lambda: self.arrived >= self.awaited, timeout, self.missing)
        time.sleep(1)
        for person, follower in zip(self.people, self.followers):
            assert follower.repeated == [], (person, follower.repeated)
            assert follower.titles == self.expected[person], (person, difference(follower.titles, self.expected[person]))
            assert follower.unrecovered == 0, person
            assert position_of(self.cluster, person) == len(self.expected[person])

    def missing(self):
        short = {person: len(self.expected[person]) - len(follower.frames)
                 for person, follower in zip(self.people, self.followers) if len(follower.frames) != len(self.expected[person])}
        return f"{self.awaited} frames; {self.arrived} came; short: {short}"

    def stop(self):
        for follower in self.followers:
            follower.stop()


def difference(found, expected):
    at = next((at for at, (one, other) in enumerate(zip(found, expected)) if one != other), min(len(found), len(expected)))
    return f"{len(found)} of {len(expected)}, different from {at} on: {found[at:at + 4]} instead of {expected[at:at + 4]}"


def position_of(cluster, person):
    """How many are stored: what is stored twice shows here even if no frame did."""
    return len(cluster.inbox(person)["notifications"])


def run(cluster, crowd, seed, count=1000, during=None, between=(0.25, 0.6), fair=True):
    """Writes `count` events at PACE; calls `during()` when a random part of them has arrived, between 20 and 80 % unless
    `fair` is off. Answers that part."""
    chance = random.Random(seed)
    events = crowd.events(count, chance)
    at, part = chance.uniform(*between), None
    before = crowd.arrived
    flow = kafka.Flow(cluster.broker.address, TOPIC)
    began = time.monotonic()
    written = 0
    while written < count or (during and part is None):
        # Where the suite cannot keep the pace, the fault falls in the middle all the same: the rest waits for it.
        most = int(count * MOST) if during and fair and part is None else count
        due = min(most, int((time.monotonic() - began) * PACE))
        if due > written:
            flow.write(events[written:due])
            written = due
        if during and part is None and crowd.arrived - before >= at * count:
            during()
            part = (crowd.arrived - before) / count
            began = time.monotonic() - written / PACE  # what took time in `during` makes no burst
        assert time.monotonic() - began < 120, f"stuck: {crowd.missing()}"
        time.sleep(0.005)
    flow.close()
    if fair and part is not None:
        fell(part)
    return part
