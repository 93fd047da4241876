"""The APNs stand-in refuses and accepts what Apple's pages say, over real TLS and HTTP/2."""

import base64
import json
import os
import pathlib
import shlex
import signal
import socket
import ssl
import subprocess
import time
import urllib.request

import h2.config
import h2.connection
import h2.events
import pytest

HERE = pathlib.Path(__file__).parent
TOKEN = "a1" * 32


def unpadded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class StandIn:
    def __init__(self, state):
        self.process = subprocess.Popen(["/usr/bin/python3", str(HERE / "apns"), "--state", str(state)],
                                        stdout=subprocess.PIPE, text=True)
        self.env = {}
        while "APNS_RECEIVED_URL" not in self.env:
            line = self.process.stdout.readline()
            assert line, "the stand-in stopped"
            name, _, value = line.strip().partition("=")
            self.env[name] = shlex.split(value)[0]
        self.tokens = {}

    def provider_token(self, algorithm="ES256", key=None, kid=None, team=None, age=0, key_file=None):
        identity = algorithm, kid, team, age, key_file
        if identity not in self.tokens:
            header = {"alg": algorithm, "kid": kid or self.env["APNS_KEY_ID"]}
            claims = {"iss": team or self.env["APNS_TEAM_ID"], "iat": int(time.time()) - age}
            signed = f"{unpadded(json.dumps(header).encode())}.{unpadded(json.dumps(claims).encode())}"
            der = subprocess.run(["openssl", "dgst", "-sha256", "-sign", key_file or self.env["APNS_KEY_FILE"]],
                                 input=signed.encode(), capture_output=True, check=True).stdout
            self.tokens[identity] = f"{signed}.{unpadded(raw_signature(der))}"
        return self.tokens[identity]

    def http(self, path, method="GET", body=None):
        url = self.env["APNS_RECEIVED_URL"].replace("/received", path)
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(url, data=data, method=method), timeout=20) as answer:
            return json.loads(answer.read())

    def client(self):
        return Client(self.env)


def raw_signature(der):
    def integer(at):
        length = der[at + 1]
        return der[at + 2:at + 2 + length].lstrip(b"\0").rjust(32, b"\0"), at + 2 + length
    first, at = integer(2)
    return first + integer(at)[0]


class Client:
    def __init__(self, env):
        port = int(env["APNS_URL"].rsplit(":", 1)[1])
        context = ssl.create_default_context(cafile=env["APNS_CA_FILE"])
        context.set_alpn_protocols(["h2"])
        self.socket = context.wrap_socket(socket.create_connection(("127.0.0.1", port), 20), server_hostname="127.0.0.1")
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.order = []  # of streams, as their answers ended
        self.h2.initiate_connection()
        self.socket.sendall(self.h2.data_to_send())

    def send(self, headers, body=b"{}", path=f"/3/device/{TOKEN}", method="POST", leaves=True):
        """`leaves`: at once, not together with the next."""
        stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream, [(":method", method), (":path", path), (":scheme", "https"), (":authority", "apns"),
                                      *headers], end_stream=not body)
        if body:
            self.h2.send_data(stream, body, end_stream=True)
        if leaves:
            self.socket.sendall(self.h2.data_to_send())
        return stream

    def receive(self, *streams):
        """{stream: (status, headers, json or None)} of these; None for a stream that GOAWAY or the end of the connection
        left without an answer."""
        answers, bodies, ended = {}, {}, set()
        while not set(streams) <= ended:
            data = self.socket.recv(65536)
            if not data:
                break
            for event in self.h2.receive_data(data):
                if isinstance(event, h2.events.ResponseReceived):
                    answers[event.stream_id] = dict(event.headers)
                elif isinstance(event, h2.events.DataReceived):
                    bodies[event.stream_id] = bodies.get(event.stream_id, b"") + event.data
                elif isinstance(event, h2.events.StreamEnded):
                    ended.add(event.stream_id)
                    self.order.append(event.stream_id)
                elif isinstance(event, h2.events.ConnectionTerminated):
                    ended.update(stream for stream in streams if stream > event.last_stream_id)
            self.socket.sendall(self.h2.data_to_send())
        return {stream: (int(answers[stream][":status"]), answers[stream], json.loads(bodies.get(stream) or b"null"))
                if stream in answers else None for stream in streams}

    def ask(self, *arguments, **named):
        stream = self.send(*arguments, **named)
        return self.receive(stream)[stream]


@pytest.fixture(scope="module")
def apns(tmp_path_factory):
    stand_in = StandIn(tmp_path_factory.mktemp("apns"))
    yield stand_in
    stand_in.process.send_signal(signal.SIGTERM)
    assert stand_in.process.wait(20) == 0


@pytest.fixture
def good(apns):
    return {"authorization": "bearer " + apns.provider_token(), "apns-topic": apns.env["APNS_TOPIC"],
            "apns-push-type": "alert", "apns-priority": "10"}


def test_takes_a_push_and_lists_it(apns, good):
    token, apns_id = "b2" * 32, "8f1c1a2e-0000-4000-8000-00000000abcd"
    began = time.time()
    status, headers, body = apns.client().ask(
        [*good.items(), ("apns-id", apns_id), ("apns-collapse-id", "one")], b'{"aps":{"alert":"hi"}}', f"/3/device/{token}")
    assert (status, headers["apns-id"], body) == (200, apns_id, None)
    received = apns.http(f"/received?token={token}")
    at = received[0].pop("at")
    assert began * 1000 - 1 <= at <= time.time() * 1000
    assert received == [{"token": token, "apnsId": apns_id, "collapseId": "one", "topic": apns.env["APNS_TOPIC"],
                         "pushType": "alert", "priority": 10, "payload": {"aps": {"alert": "hi"}}, "status": 200}]


def test_the_list_is_there_over_tls_too(apns, good):
    context = ssl.create_default_context(cafile=apns.env["APNS_CA_FILE"])
    with urllib.request.urlopen(apns.env["APNS_URL"] + "/received?token=none", context=context, timeout=20) as answer:
        assert json.loads(answer.read()) == []
    assert apns.client().ask([], b"", "/received?token=none", "GET")[2] == []


@pytest.mark.parametrize("change, status, reason", [
    ({"authorization": None}, 403, "MissingProviderToken"),
    ({"authorization": "bearer a.b.c"}, 403, "InvalidProviderToken"),
    ({"apns-topic": None}, 400, "MissingTopic"),
    ({"apns-topic": "com.example.other"}, 400, "BadTopic"),
    ({"apns-push-type": None}, 400, "InvalidPushType"),
    ({"apns-push-type": "loud"}, 400, "InvalidPushType"),
    ({"apns-id": "not-a-uuid"}, 400, "BadMessageId"),
    ({"apns-priority": "7"}, 400, "BadPriority"),
    ({"apns-expiration": "soon"}, 400, "BadExpirationDate"),
    ({"apns-collapse-id": "x" * 65}, 400, "BadCollapseId"),
])
def test_refuses_a_header(apns, good, change, status, reason):
    headers = {name: value for name, value in (good | change).items() if value is not None}
    answer = apns.client().ask(list(headers.items()))
    assert (answer[0], answer[2]) == (status, {"reason": reason})


@pytest.mark.parametrize("named, reason", [
    ({"age": 3700}, "ExpiredProviderToken"),
    ({"age": -900}, "InvalidProviderToken"),
    ({"kid": "OTHERKEY00"}, "InvalidProviderToken"),
    ({"team": "OTHERTEAM0"}, "InvalidProviderToken"),
    ({"algorithm": "none"}, "InvalidProviderToken"),
])
def test_refuses_a_provider_token(apns, good, named, reason):
    headers = good | {"authorization": "bearer " + apns.provider_token(**named)}
    answer = apns.client().ask(list(headers.items()))
    assert (answer[0], answer[2]) == (403, {"reason": reason})


def test_refuses_a_signature_of_another_key(apns, good, tmp_path):
    key = tmp_path / "other.p8"
    subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key], check=True,
                   capture_output=True)
    headers = good | {"authorization": "bearer " + apns.provider_token(key_file=str(key))}
    assert apns.client().ask(list(headers.items()))[2] == {"reason": "InvalidProviderToken"}


@pytest.mark.parametrize("path, method, body, status, reason", [
    ("/3/devices/x", "POST", b"{}", 404, "BadPath"),
    (f"/3/device/{TOKEN}", "PUT", b"{}", 405, "MethodNotAllowed"),
    (f"/3/device/{TOKEN}", "POST", b"", 400, "PayloadEmpty"),
    (f"/3/device/{TOKEN}", "POST", b"no json", 400, "PayloadEmpty"),
    (f"/3/device/{TOKEN}", "POST", b'{"a":"' + b"x" * 4089 + b'"}', 413, "PayloadTooLarge"),
    ("/3/device/", "POST", b"{}", 400, "MissingDeviceToken"),
    ("/3/device/bad0", "POST", b"{}", 400, "BadDeviceToken"),
    ("/3/device/othertopic0", "POST", b"{}", 400, "DeviceTokenNotForTopic"),
])
def test_refuses_a_request(apns, good, path, method, body, status, reason):
    answer = apns.client().ask(list(good.items()), body, path, method)
    assert (answer[0], answer[2]) == (status, {"reason": reason})


def test_a_payload_of_exactly_4096_bytes_passes(apns, good):
    assert apns.client().ask(list(good.items()), b'{"a":"' + b"x" * 4088 + b'"}')[0] == 200


def test_a_dead_token_is_unregistered_with_a_timestamp(apns, good):
    began = time.time()
    status, _, body = apns.client().ask(list(good.items()), path="/3/device/dead0001")
    assert status == 410 and body["reason"] == "Unregistered" and began * 1000 - 1 <= body["timestamp"] <= time.time() * 1000
    old = apns.client().ask(list(good.items()), path="/3/device/deadold1")[2]
    assert old["timestamp"] < (time.time() - 86_400) * 1000
    assert [entry["status"] for entry in apns.http("/received?token=dead0001")] == [410]


def test_a_header_twice_is_refused(apns, good):
    answer = apns.client().ask([*good.items(), ("apns-topic", good["apns-topic"])])
    assert answer[2] == {"reason": "DuplicateHeaders"}


def test_too_many_provider_tokens_on_one_connection(apns, good):
    client = apns.client()
    reasons = [client.ask([*(good | {"authorization": "bearer " + apns.provider_token(age=age)}).items()])[0]
               for age in (1, 2, 3, 4)]
    assert reasons == [200, 200, 200, 429]


def test_faults(apns, good):
    headers = list(good.items())
    apns.http("/fault", "POST", {"kind": "status", "status": 503, "reason": "Shutdown", "count": 2})
    client = apns.client()
    assert [client.ask(headers)[0] for _ in range(3)] == [503, 503, 200]
    apns.http("/fault", "POST", {"kind": "late", "count": 1})
    assert client.ask(headers)[0] == 200
    apns.http("/fault", "POST", {"kind": "slow", "delayMs": 200, "count": 1})
    began = time.monotonic()
    slow, quick = client.send(headers, leaves=False), client.send(headers)
    assert [answer[0] for answer in client.receive(slow, quick).values()] == [200, 200]
    assert client.order[-2:] == [quick, slow] and time.monotonic() - began >= 0.2
    apns.http("/fault", "POST", {"kind": "goaway", "prefix": "f00d", "count": 1})
    assert client.ask(headers)[0] == 200
    assert client.ask(headers, path="/3/device/f00d") is None
    apns.http("/fault", "POST", {"kind": "lost", "count": 1})
    try:
        assert apns.client().ask(headers, path="/3/device/10c7") is None
    except OSError:
        pass
    assert len(apns.http("/received?token=10c7")) == 1
    assert apns.http("/fault") == []


def test_state_outlives_a_restart(tmp_path):
    first = StandIn(tmp_path)
    token, ca = first.provider_token(), (tmp_path / "ca.pem").read_bytes()
    first.process.terminate()
    first.process.wait(20)
    second = StandIn(tmp_path)
    try:
        assert (tmp_path / "ca.pem").read_bytes() == ca
        headers = {"authorization": "bearer " + token, "apns-topic": second.env["APNS_TOPIC"], "apns-push-type": "alert"}
        assert second.client().ask(list(headers.items()))[0] == 200
    finally:
        second.process.terminate()
        second.process.wait(20)


def processor_seconds(pid):
    """What a process has had of the processors, which is not what others left of them."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_takes_a_thousand_pushes_a_second(apns, good):
    """Two thousand over one connection, 100 at a time, on a core of its own."""
    client, headers, body = apns.client(), list(good.items()), b'{"aps":{"alert":{"title":"t","body":"b"}}}'
    apns.http("/received", "DELETE")
    before = processor_seconds(apns.process.pid)
    for _ in range(20):
        answers = client.receive(*[client.send(headers, body) for _ in range(100)])
        assert all(answer[0] == 200 for answer in answers.values())
    rate = 2000 / (processor_seconds(apns.process.pid) - before)
    print(f"{rate:.0f} pushes a second")
    assert len(apns.http("/received")) == 2000
    assert rate > 1000
