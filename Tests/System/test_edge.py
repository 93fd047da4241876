"""The edge's own configuration, before servers that only say who they are."""

import contextlib
import http.server
import json
import re
import socket
import subprocess
import threading
import time

import pytest
import websockets.exceptions
import websockets.sync.client
import websockets.sync.server

from carillon import http as client
from carillon.processes import ROOT, free_port
from carillon.servers import Edge, has_loopback_6
from carillon.waiting import until


class Backend:
    """Answers every request with its name and the request's line; can be stopped and started on its port."""

    def __init__(self, name):
        self.name, self.port, self.server = name, free_port(), None
        self.start()

    def start(self):
        name = self.name

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                length = int(self.headers.get("Content-Length", 0))
                self.rfile.read(length)
                if self.path.startswith("/connection/sse?break"):
                    self.close_connection = True
                    return
                body = json.dumps({"name": name, "line": self.requestline,
                                   "forwarded": self.headers.get_all("X-Forwarded-For")}).encode()
                kind = "text/event-stream" if self.path.startswith("/connection/sse") else "application/json"
                if kind == "text/event-stream":
                    body = b"data: " + body + b"\n\n"
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_PUT = do_DELETE = do_GET

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads, allow_reuse_address = True, True

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def certificate(folder):
    """edge.pem: a certificate for localhost with its key."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-keyout", folder / "key.pem", "-out", folder / "certificate.pem"], check=True, capture_output=True)
    (folder / "edge.pem").write_text((folder / "certificate.pem").read_text() + (folder / "key.pem").read_text())


SERVICES = ("notification-service", "fanout-worker", "presence-service", "push-service", "apns")


@pytest.fixture(scope="module")
def backends():
    standing = {name: Backend(name) for name in ("gateway-1", "gateway-2", "gateway-3", *SERVICES)}
    yield standing
    for backend in standing.values():
        backend.stop()


@pytest.fixture(scope="module")
def edge(backends, tmp_path_factory):
    address = {name: f"127.0.0.1:{backend.port}" for name, backend in backends.items()}
    gateways = [address[f"gateway-{number}"] for number in (1, 2, 3)]
    standing = Edge(tmp_path_factory.mktemp("edge"), {name: [address[name]] for name in SERVICES} | {"gateway": gateways})
    standing.start()
    yield standing
    standing.end()


@pytest.mark.parametrize("method, path, name", [
    ("POST", "/v1/events", "notification-service"),
    ("PUT", "/v1/audiences/channel%3Ageneral/members", "fanout-worker"),
    ("GET", "/v1/presence?user=a", "presence-service"),
    ("PUT", "/v1/devices", "push-service"),
    ("DELETE", "/v1/devices/abc", "push-service"),
    ("POST", "/v1/connect", "gateway"),
    ("POST", "/v1/revocations", "gateway"),
    ("GET", "/v1/inbox?after=1.1-1", "gateway"),
    ("GET", "/connection/poll?u=bob", "gateway"),
])
def test_routes(edge, method, path, name):
    answer = client.request(method, edge.url + path, b"" if method != "GET" else None).json()
    assert answer["name"].startswith(name)
    assert answer["line"] == f"{method} {path} HTTP/1.1"


def test_the_gateway_learns_who_came_and_not_what_he_says(edge):
    for said in ({}, {"X-Forwarded-For": "6.6.6.6"}, {"X-Forwarded-For": "6.6.6.6, 10.0.0.1"}):
        assert client.request("GET", edge.url + "/v1/inbox", headers=said).json()["forwarded"] == ["127.0.0.1"]


def test_unknown_paths_and_operations_are_not_routed(edge):
    for path in ("/metrics", "/health/ready", "/v1", "/v1/connectx", "/v1/audiences", "/received", "/fault"):
        answer = client.request("GET", edge.url + path)
        assert answer.status == 404 and answer.problem == "not_found"


def test_the_page_and_the_phone(edge):
    page = client.request("GET", edge.url + "/")
    assert page.status == 200 and page.headers["Content-Type"].startswith("text/html")
    assert page.body == (edge.folder / "demo.html").read_bytes()
    assert client.request("GET", edge.url + "/demo/received?token=x").json()["line"] == "GET /received?token=x HTTP/1.1"
    assert client.request("POST", edge.url + "/demo/received?token=x", b"").status == 404


def test_without_demo_there_is_no_page(edge, tmp_path):
    other = Edge(tmp_path, {}, "plain")
    other.environment["DEMO"] = "false"
    other.start()
    try:
        assert client.request("GET", other.url + "/").status == 404
        assert client.request("GET", other.url + "/demo/received").status == 404
    finally:
        other.end()


def gateway_of(edge, person, path="/connection/poll"):
    body = client.request("GET", f"{edge.url}{path}?u={person}").body.decode()
    return json.loads(body.removeprefix("data: "))["name"]


def test_a_persons_connections_meet_on_one_gateway(edge):
    places = {f"person-{number}": gateway_of(edge, f"person-{number}") for number in range(60)}
    assert len(set(places.values())) == 3
    for person, place in places.items():
        assert gateway_of(edge, person) == place
        assert gateway_of(edge, person, "/connection/sse") == place


def test_a_gateway_that_goes_and_comes(edge, backends):
    people = [f"person-{number}" for number in range(60)]
    before = {person: gateway_of(edge, person) for person in people}
    gone = before[people[0]]
    backends[gone].stop()
    during = {person: gateway_of(edge, person) for person in people}  # at once: refused, tried elsewhere
    assert gone not in during.values()
    moved = [person for person in people if before[person] != during[person]]
    assert all(before[person] == gone for person in moved)  # nobody else moves
    backends[gone].start()
    until(lambda: gateway_of(edge, people[0]) == gone, what="the gateway is back in its place")
    assert {person: gateway_of(edge, person) for person in people} == before


def test_nothing_that_a_client_chose_is_logged(edge):
    for path in ("/connection/sse?break&ticket=SECRET", "/v1/inbox?after=SECRET", "/SECRET"):
        client.request("GET", edge.url + path, headers={"Authorization": "Bearer SECRET"})
    until(lambda: edge.lines("status=200 backend=gateway-event-streams"), what="the failure's line")
    assert "SECRET" not in edge.output()


def test_an_event_stream_gets_only_retry_where_others_get_503(tmp_path):
    edge = Edge(tmp_path, {"gateway": [f"127.0.0.1:{free_port()}"]})
    edge.start()
    try:
        waits = set()
        for _ in range(10):
            answer = client.request("GET", edge.url + "/connection/sse?u=a")
            assert answer.status == 200 and answer.headers["Content-Type"] == "text/event-stream"
            name, wait = answer.body.decode().strip().split(": ")
            assert name == "retry" and 1000 <= int(wait) < 4000
            waits.add(wait)
        assert len(waits) > 1
        # An EventSource of another origin that may not read the answer would stop for good.
        answer = client.request("GET", edge.url + "/connection/sse?u=a", headers={"Origin": "https://app.example"})
        assert answer.status == 200 and answer.headers["Access-Control-Allow-Origin"] == "https://app.example"
        assert answer.headers["Access-Control-Allow-Credentials"] == "true"
        for path in ("/connection/websocket?u=a", "/v1/inbox"):
            answer = client.request("GET", edge.url + path)
            assert answer.status == 503 and answer.headers["Retry-After"] == "1" and answer.problem == "unavailable"
    finally:
        edge.end()


def test_a_server_that_breaks_off_an_event_stream_before_its_head(edge):
    answer = client.request("GET", edge.url + "/connection/sse?break&u=a")
    assert answer.status == 200 and answer.body.startswith(b"retry: ")


def test_a_websocket_goes_through(tmp_path):
    server = websockets.sync.server.serve(lambda peer: [peer.send(message) for message in peer], "127.0.0.1", 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    edge = Edge(tmp_path, {"gateway": [f"127.0.0.1:{server.socket.getsockname()[1]}"]})
    edge.start()
    try:
        url = edge.url.replace("http", "ws") + "/connection/websocket?u=a"
        with websockets.sync.client.connect(url, proxy=None, open_timeout=60, close_timeout=1) as peer:
            for message in ("one", "x" * 100_000):
                peer.send(message)
                assert peer.recv(timeout=60) == message
    finally:
        edge.end()
        server.shutdown()


@contextlib.contextmanager
def standing(folder, backends, **environment):
    """An edge of its own settings; this machine's own addresses, which have no limit else, are sources like any other."""
    gateways = [f"127.0.0.1:{backends['gateway-1'].port}"] if backends else []
    edge = Edge(folder, {"gateway": gateways}, EDGE_UNLIMITED="192.0.2.99", **environment)
    edge.start()
    try:
        yield edge
    finally:
        edge.end()


@pytest.mark.parametrize("line, status, problem", [
    ("GET /connection/poll?" + "a" * 100_000, 414, "request_line_too_long"),
    ("GET /v1/nowhere", 404, "not_found"),
    ("GET /v1/inbox HTTP/1.1\r\nX-Long: " + "a" * 60_000, 431, "headers_too_large"),
], ids=["line", "path", "head"])
def test_the_edges_own_errors_are_problem_documents_that_a_page_may_read(edge, line, status, problem):
    url, _, fields = line.removeprefix("GET ").partition(" HTTP/1.1\r\n")
    headers = dict([fields.split(": ")]) if fields else {}
    answer = client.request("GET", edge.url + url, headers=headers | {"Origin": "https://app.example"})
    assert answer.status == status and answer.problem == problem
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example"


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"no request\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
                                  b"GET /" + b"a" * 140_000], ids=["field", "line", "tls", "head"])
def test_what_is_not_http_is_answered_400_by_the_edge_itself(edge, sent):
    with socket.create_connection(("127.0.0.1", edge.port), 60) as connection:
        connection.sendall(sent)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b" 400 " in head.splitlines()[0] and b"connection: close" in head.lower()
    version = subprocess.run(["haproxy", "-v"], capture_output=True, text=True).stdout.split()[2]
    if tuple(int(number) for number in re.findall(r"\d+", version)[:2]) >= (3, 3):
        assert json.loads(body)["type"] == "/problems#invalid_request"


def test_every_problem_of_the_edge_is_explained():
    page = (ROOT / "Shared/HTTP/ProblemPage.swift").read_text()
    types = set(re.findall(r'"type":"([^"]*)"', (ROOT / "deploy/edge/haproxy.cfg").read_text()))
    assert len(types) >= 6
    for kind in types:
        path, _, name = kind.partition("#")
        assert path == "/problems" and f'"{name}", ' in page, kind


def test_a_page_elsewhere_reads_that_a_service_is_away(tmp_path, backends):
    with standing(tmp_path, {}) as edge:
        page = {"Origin": "https://app.example"}
        asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization, traceparent"}
        preflight = client.request("OPTIONS", edge.url + "/v1/connect", headers=page | asked)
        assert preflight.status == 200
        assert preflight.headers["Access-Control-Allow-Methods"] == "POST"
        assert preflight.headers["Access-Control-Allow-Headers"] == "authorization, traceparent"
        answer = client.request("POST", edge.url + "/v1/connect", b"", headers=page)
        assert answer.status == 503 and answer.problem == "unavailable"
        assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example"
        assert "Retry-After" in answer.headers["Access-Control-Expose-Headers"]


def test_what_a_service_answers_a_page_is_left_as_it_is(edge):
    answer = client.request("GET", edge.url + "/v1/inbox", headers={"Origin": "https://app.example"})
    assert answer.status == 200 and "Access-Control-Allow-Origin" not in answer.headers


def test_health_is_that_of_the_gateways(tmp_path, backends):
    with standing(tmp_path, {}) as edge:
        until(lambda: client.request("GET", edge.url + "/edge/health").status == 503, what="no gateway, no health")
    with standing(tmp_path, backends) as edge:
        until(lambda: client.answers(edge.url + "/edge/health"), what="a gateway is there")


def test_a_source_holds_so_many_connections(tmp_path, backends):
    with standing(tmp_path, backends, EDGE_CONNECTIONS_PER_SOURCE="5") as edge:
        held = []

        def refused():
            held.append(socket.create_connection(("127.0.0.1", edge.port)))
            held[-1].settimeout(0.5)
            try:
                return held[-1].recv(1) == b""
            except ConnectionResetError:
                return True
            except TimeoutError:
                return False
        assert [refused() for _ in range(6)] == [False] * 5 + [True]
        for one in held:
            one.close()
        until(lambda: client.answers(edge.url + "/v1/inbox"), what="the source is served again")


def test_a_source_connects_and_asks_so_often(tmp_path, backends):
    with standing(tmp_path, backends, EDGE_REQUESTS_PER_SOURCE="20") as edge:
        answers = [client.request("GET", edge.url + "/v1/inbox") for _ in range(22)]
        assert [answer.status for answer in answers] == [200] * 20 + [429] * 2
        assert answers[-1].problem == "too_many_requests" and answers[-1].headers["Retry-After"] == "10"
        stream = client.request("GET", edge.url + "/connection/sse?u=a")
        assert stream.status == 200 and stream.body.startswith(b"retry: "), "an EventSource would stop for good at a 429"
    with standing(tmp_path, backends, EDGE_CONNECTS_PER_SOURCE="20") as edge:
        # One of them looked whether it listens.
        assert all(client.answers(edge.url + "/v1/inbox") for _ in range(19))
        assert not client.answers(edge.url + "/v1/inbox")


def test_the_machines_own_addresses_have_no_limit(edge):
    assert edge.environment.get("EDGE_UNLIMITED") is None
    held = [socket.create_connection(("127.0.0.1", edge.port)) for _ in range(1100)]
    assert client.answers(edge.url + "/v1/inbox")
    for one in held:
        one.close()


def test_a_balancer_that_speaks_the_proxy_protocol(tmp_path, backends):
    def ask(edge, header):
        with socket.create_connection(("127.0.0.1", edge.port)) as one:
            one.settimeout(30)
            one.sendall(header + b"GET /v1/inbox HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 6.6.6.6\r\nConnection: close\r\n\r\n")
            answer = b""
            while piece := one.recv(4096):
                answer += piece
            return answer
    header = b"PROXY TCP4 203.0.113.7 127.0.0.1 1234 80\r\n"
    with standing(tmp_path, backends, EDGE_PROXY_FROM="10.0.0.0/8 127.0.0.1", EDGE_REQUESTS_PER_SOURCE="5") as edge:
        assert b'"forwarded": ["203.0.113.7"]' in ask(edge, header)
        until(lambda: b" 429 " in ask(edge, header), what="the limit of whom the balancer names")
        assert b'"forwarded": ["203.0.113.8"]' in ask(edge, header.replace(b".7", b".8"))
    with standing(tmp_path, backends, EDGE_PROXY_FROM="10.0.0.0/8") as edge:
        assert b" 400 " in ask(edge, header), "who is no balancer is not believed"


def test_a_balancer_that_names_the_client_in_a_field(tmp_path, backends):
    def forwarded(edge, said):
        return client.request("GET", edge.url + "/v1/inbox", headers={"X-Forwarded-For": said}).json()["forwarded"]
    with standing(tmp_path, backends, EDGE_FORWARDED_FROM="127.0.0.1", EDGE_CONNECTIONS_PER_SOURCE="5") as edge:
        assert forwarded(edge, "6.6.6.6, 203.0.113.7") == ["203.0.113.7"], "what stands before, anybody may have written"
        assert forwarded(edge, "2001:db8::1") == ["2001:db8::1"]
        assert forwarded(edge, "nobody") == ["127.0.0.1"]
        held = [socket.create_connection(("127.0.0.1", edge.port)) for _ in range(20)]
        assert forwarded(edge, "203.0.113.7") == ["203.0.113.7"], "a balancer's connections are those of many"
        for one in held:
            one.close()
    with standing(tmp_path, backends, EDGE_FORWARDED_FROM="10.0.0.0/8") as edge:
        assert forwarded(edge, "203.0.113.7") == ["127.0.0.1"]


def test_a_silent_client_is_let_go_over_tls_too(tmp_path, backends):
    certificate(tmp_path)
    with standing(tmp_path, backends, EDGE_CERTIFICATE=tmp_path / "edge.pem", EDGE_TLS_PORT=free_port()) as edge:
        began = time.monotonic()
        silent = [socket.create_connection(("127.0.0.1", port)) for port in (edge.port, edge.environment["EDGE_TLS_PORT"])]
        for one in silent:
            one.settimeout(60)
            while one.recv(4096):
                pass
        assert 8 < time.monotonic() - began < 40, "10 s, and what a busy machine adds; it was 75"


@pytest.mark.skipif(not has_loopback_6(), reason="this machine has no IPv6")
def test_it_listens_on_ipv6_where_that_is(tmp_path, backends):
    with standing(tmp_path, backends, EDGE_ADDRESS_6="::1") as edge:
        assert client.request("GET", f"http://[::1]:{edge.port}/v1/inbox").json()["forwarded"] == ["::1"]
        assert client.answers(edge.url + "/v1/inbox")
