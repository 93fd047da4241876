"""Events written and records read with kcat, as any producer or operator would."""

import datetime
import itertools
import json
import os
import subprocess
import time

COUNTER = itertools.count(1)
RUN = f"{os.getpid()}-{time.time_ns():x}"
# A broker that has just started may be long in telling of its topics; where it is, kcat gives a record up after 30 s.
PATIENCE = ("-X", "topic.metadata.propagation.max.ms=120000")
STRUCTURED = "application/cloudevents+json; charset=utf-8"


def identity():
    """An event id that no run has used."""
    return f"{RUN}-{next(COUNTER)}"


def event(type, audience, id=None, source="/tests/system", title="A title", body="A body", **more):
    """A CloudEvent in the structured form. `more`: further fields of its data; a field of the event itself with a
    leading underscore."""
    data = {"audience": audience, "title": title, "body": body}
    fields = {name[1:]: value for name, value in more.items() if name.startswith("_")}
    data |= {name: value for name, value in more.items() if not name.startswith("_")}
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"specversion": "1.0", "id": id or identity(), "source": source, "type": type, "time": now,
            "datacontenttype": "application/json", "data": data} | fields


def kcat(address, *arguments, input=None, timeout=180):
    answer = subprocess.run(["kcat", *PATIENCE, "-b", address, *arguments], input=input, capture_output=True, timeout=timeout)
    assert answer.returncode == 0, answer.stderr.decode()
    return answer.stdout


def key_of(event):
    audience = event["data"].get("audience", {}) if isinstance(event.get("data"), dict) else {}
    return str(audience.get("user") or audience.get("channel") or event["id"])


def produce(address, topic, events, key=None, binary=False):
    """Writes events in order: structured ones in one go; in binary mode each by itself, since kcat has one set of headers."""
    if not binary:
        lines = "".join(f"{key or key_of(event)}\x1f{json.dumps(event)}\n" for event in events)
        kcat(address, "-P", "-t", topic, "-K", "\x1f", "-H", f"content-type={STRUCTURED}", "-X", "linger.ms=0", input=lines.encode())
        return
    for event in events:
        headers = [f"ce_{name}={value}" for name, value in event.items() if name not in ("data", "datacontenttype")]
        flags = [part for header in [*headers, "content-type=application/json"] for part in ("-H", header)]
        line = f"{key or key_of(event)}\x1f{json.dumps(event['data'])}"
        kcat(address, "-P", "-t", topic, "-K", "\x1f", *flags, input=line.encode())


def produce_raw(address, topic, value, key="raw", headers=(), properties=()):
    """One record of exactly these bytes (none of them a newline)."""
    flags = [part for header in headers for part in ("-H", header)] + [part for item in properties for part in ("-X", item)]
    kcat(address, "-P", "-t", topic, "-k", key, *flags, input=value)


class Flow:
    """Structured events written one after another at a given pace by one kcat, which ends itself when the broker goes away."""

    def __init__(self, address, topic):
        self.process = subprocess.Popen(
            ["kcat", "-q", *PATIENCE, "-P", "-b", address, "-t", topic, "-K", "\x1f", "-H", f"content-type={STRUCTURED}", "-X", "linger.ms=0",
             "-X", "enable.idempotence=true", "-X", "message.timeout.ms=120000"], stdin=subprocess.PIPE)

    def write(self, events):
        self.process.stdin.write("".join(f"{key_of(event)}\x1f{json.dumps(event)}\n" for event in events).encode())
        self.process.stdin.flush()

    def close(self, timeout=120):
        """Returns once the broker has acknowledged all of them."""
        self.process.stdin.close()
        assert self.process.wait(timeout) == 0


def records(address, topic):
    """All records of a topic now: [{"key", "value", "headers": {…}, "partition", "offset"}], each partition's in order. None
    of a topic that nobody has written to."""
    answer = subprocess.run(["kcat", "-q", "-C", "-J", "-e", "-m", "60", "-b", address, "-t", topic, "-o", "beginning", "-X",
                             "isolation.level=read_committed"], capture_output=True, timeout=120)
    assert answer.returncode == 0 or b"Unknown topic or partition" in answer.stderr, answer.stderr.decode()
    found = []
    for line in answer.stdout.splitlines():
        record = json.loads(line)
        flat = record.get("headers") or []
        found.append({"key": record.get("key"), "value": record.get("payload"), "partition": record["partition"],
                      "offset": record["offset"], "headers": dict(zip(flat[::2], flat[1::2]))})
    return found
