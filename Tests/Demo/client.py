"""What the story's people use: a browser's event stream, a producer, a phone. Python's own library only."""

import base64
import hashlib
import hmac
import http.client
import json
import os
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

EDGE, SECRET, KEY = os.environ["EDGE_URL"], os.environ["TOKEN_SECRET"], os.environ["API_KEY"]
RUN = f"{time.time_ns():x}"
COUNT = [0]


def environment():
    """The cluster's addresses and process ids as they are now: they change when something is started again."""
    lines = subprocess.run(["sh", "-c", '. "$0" && set', os.environ["CLUSTER_ENV"]], capture_output=True, text=True, check=True)
    pairs = (line.partition("=") for line in lines.stdout.splitlines())
    return {name: value.strip("'") for name, _, value in pairs}


def token(person, seconds=3600):
    def part(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=")
    now = int(time.time())
    head = part(b'{"alg":"HS256","typ":"JWT"}') + b"." + part(json.dumps({"sub": person, "iat": now, "exp": now + seconds}).encode())
    return (head + b"." + part(hmac.new(SECRET.encode(), head, hashlib.sha256).digest())).decode()


def request(method, path, body=None, person=None, content="application/json"):
    """(status, answer) of one request at the edge, as a person or with the producer's key."""
    headers = {"Authorization": "Bearer " + token(person)} if person else {"X-API-Key": KEY}
    data = json.dumps(body).encode() if body is not None else None
    asked = urllib.request.Request(EDGE + path if path.startswith("/") else path, data, headers | {"Content-Type": content}, method=method)
    try:
        with urllib.request.urlopen(asked, timeout=60) as answer:
            text = answer.read()
            return answer.status, json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")


def metric(operations, name):
    """The value of one series of a service."""
    with urllib.request.urlopen(operations + "/metrics", timeout=60) as answer:
        values = (line.rpartition(" ") for line in answer.read().decode().splitlines() if line.startswith(name))
        return sum(float(value) for _, _, value in values)


def event(type, audience, actor, title, body):
    COUNT[0] += 1
    return {"specversion": "1.0", "id": f"{RUN}-{COUNT[0]}", "source": "/demo", "type": type,
            "data": {"audience": audience, "actor": {"id": actor.lower(), "name": actor}, "title": title, "body": body}}


def post(event):
    """Over HTTP; accepted once Kafka has it. Where it was not in time, it is sent again: repeated, it is shown once."""
    deadline = time.monotonic() + 60
    while True:
        status, answer = request("POST", "/v1/events", event, content="application/cloudevents+json")
        if status != 503 or time.monotonic() > deadline:
            break
        time.sleep(1)
    assert status == 202, f"/v1/events answered {status}: {answer}"


def kcat(topic, key, event):
    """Straight to Kafka, as any producer would."""
    broker = environment()["KAFKA_BROKERS"].split(",")[0]
    subprocess.run(["kcat", "-q", "-P", "-b", broker, "-t", topic, "-k", key, "-H", "content-type=application/cloudevents+json",
                    "-X", "linger.ms=0", "-X", "topic.metadata.propagation.max.ms=120000"], input=json.dumps(event).encode(), check=True, timeout=180)


class Browser:
    """An EventSource: it comes back by itself, with the id it saw last, and never sorts out what came twice."""

    def __init__(self, person):
        self.person, self.arrived, self.connections = person, [], 0
        self.last, self.retry, self.over, self.connected = None, 1.0, False, threading.Event()
        status, ticket = request("POST", "/v1/connect", person=person)
        assert status == 200, f"/v1/connect answered {status}: {ticket}"
        self.url = urllib.parse.urlsplit(ticket["sse"])
        threading.Thread(target=self.run, daemon=True).start()
        assert self.connected.wait(60), f"{person}'s event stream did not open"

    def run(self):
        while not self.over:
            try:
                self.listen()
            except (OSError, http.client.HTTPException):
                pass
            if not self.over:
                time.sleep(self.retry)

    def listen(self):
        connection = http.client.HTTPConnection(self.url.hostname, self.url.port, timeout=60)
        connection.connect()
        self.socket = connection.sock  # the connection forgets it once an answer without a length has begun
        connection.request("GET", f"{self.url.path}?{self.url.query}",
                           headers={"Accept": "text/event-stream"} | ({"Last-Event-ID": self.last} if self.last else {}))
        answer = connection.getresponse()
        fields = {}
        for line in answer:
            name, _, value = line.decode().rstrip("\r\n").partition(":")
            if line.strip():
                fields[name] = value.removeprefix(" ")
                continue
            self.said(fields)
            fields = {}

    def said(self, fields):
        self.last = fields.get("id", self.last)
        if "retry" in fields:
            self.retry = int(fields["retry"]) / 1000
        if fields.get("event") == "connected":
            self.connections += 1
            self.connected.set()
        elif "data" in fields and "event" not in fields:
            self.arrived.append((time.monotonic(), json.loads(fields["data"])))

    @property
    def titles(self):
        return [notification["title"] for _, notification in list(self.arrived)]

    def leave(self):
        self.over = True
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def until(condition, what, timeout=60):
    """The first true answer of `condition`; AssertionError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"not within {timeout} s: {what}"
        time.sleep(0.01)
    return answer
