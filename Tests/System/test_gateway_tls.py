"""The gateway's own TLS: every transport over it, certificates that change under live connections, and who speaks no TLS."""

import http.client
import json
import shutil
import signal
import socket
import ssl

import pytest

from carillon import kafka
from carillon.keys import certificate
from carillon.secured import SecuredWebSocket
from carillon.waiting import until


class Site:
    def __init__(self, cluster, folder, loops):
        self.cluster, self.folder = cluster, folder
        self.first, self.second = certificate(folder, "first"), certificate(folder, "second")
        self.used = folder / "certificate.pem", folder / "certificate.key"
        self.install(self.first)
        self.gateway = cluster.extra("gateway", f"gateway-tls-{loops}", {
            "TLS_CERTIFICATE_FILE": self.used[0], "TLS_KEY_FILE": self.used[1], "GATEWAY_LOOPS": loops, "PUBLIC_URL": "",
            "PING_INTERVAL": "60s", "PONG_TIMEOUT": "50s"})
        self.port = self.gateway.port

    def install(self, pair):
        for source, target in zip(pair, self.used):
            shutil.copy(source, target)

    def context(self, pair=None):
        return ssl.create_default_context(cafile=str((pair or self.first)[0]))

    def websocket(self, person, pair=None):
        client = SecuredWebSocket(self.port, self.context(pair), {"Authorization": "Bearer " + self.cluster.token(person)})
        client.send('{"id":1,"connect":{}}')
        assert "connect" in json.loads(client.recv(timeout=60))
        return client

    def issuer(self):
        """The common name of the certificate that a newcomer is shown now."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection(("127.0.0.1", self.port), 60) as raw, context.wrap_socket(raw) as secured:
            shown = ssl.DER_cert_to_PEM_cert(secured.getpeercert(True))
            assert secured.version() in ("TLSv1.2", "TLSv1.3")
        return "first" if shown.strip() in self.first[0].read_text() else "second"

    def refusals(self):
        return self.gateway.metrics()['carillon_gateway_refusals_total{reason="tls"}']


@pytest.fixture(scope="module", params=[1, 2], ids=["one-loop", "two-loops"])
def site(request, cluster, tmp_path_factory):
    made = Site(cluster, tmp_path_factory.mktemp("tls"), request.param)
    yield made
    made.gateway.end()


def heard(client, text):
    """Whether it comes, pings aside."""
    while (said := client.recv(timeout=60)) == "{}":
        client.send("{}")
    return text in said


def produce(cluster, person, title):
    cluster.produce(kafka.event("message.direct", {"user": person}, title=title))


def test_all_transports_over_tls(cluster, site, person):
    bob = person("bob")
    with site.websocket(bob) as client:
        answer = http.client.HTTPSConnection("localhost", site.port, context=site.context(), timeout=60)
        answer.request("POST", "/v1/connect", headers=cluster.bearer(bob))
        ticket = json.loads(answer.getresponse().read())
        assert ticket["websocket"].startswith(f"wss://localhost:{site.port}/") and ticket["sse"].startswith("https://")
        stream = http.client.HTTPSConnection("localhost", site.port, context=site.context(), timeout=60)
        stream.request("GET", "/connection/sse", headers=cluster.bearer(bob))
        lines = stream.getresponse()
        while not lines.readline().startswith(b"data:"):
            pass
        produce(cluster, bob, "over tls " + "x" * 40_000)  # more than two records
        assert heard(client, "over tls")
        while not (line := lines.readline()).startswith(b"data:"):
            pass
        assert json.loads(line[5:])["title"].startswith("over tls")
        answer.request("GET", "/v1/inbox", headers=cluster.bearer(bob))
        assert len(json.loads(answer.getresponse().read())["notifications"]) == 1
        lines.close()
        stream.close()


def test_rotation_under_live_connections(cluster, site, person):
    bob = person("bob")
    site.install(site.first)
    site.gateway.send(signal.SIGHUP)
    until(lambda: site.issuer() == "first", what="the first certificate")
    with site.websocket(bob, site.first) as before:
        site.install(site.second)
        site.gateway.send(signal.SIGHUP)
        until(lambda: all(site.issuer() == "second" for _ in range(8)), what="the second certificate on every loop")
        with site.websocket(bob, site.second) as after:
            produce(cluster, bob, "rotated")
            assert heard(before, "rotated") and heard(after, "rotated")
            # A key that is not the certificate's, then half a file: the pair in use stays.
            kept = len(site.gateway.lines("the certificate is kept"))
            site.used[1].write_bytes(site.first[1].read_bytes())
            site.gateway.send(signal.SIGHUP)
            until(lambda: len(site.gateway.lines("the certificate is kept")) == kept + 1, what="one line")
            site.used[0].write_text(site.first[0].read_text()[:100])
            site.gateway.send(signal.SIGHUP)
            until(lambda: len(site.gateway.lines("the certificate is kept")) == kept + 2, what="one more line")
            assert site.issuer() == "second" and site.gateway.runs
            produce(cluster, bob, "still there")
            assert heard(before, "still there") and heard(after, "still there")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_who_speaks_no_tls_gets_nothing_in_clear(site):
    before = site.refusals()
    for said in (b"GET /v1/inbox HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"\0" * 600, b"\x80\x2e\x01\0\x02" + b"\1" * 50):
        with socket.create_connection(("127.0.0.1", site.port), 60) as raw:
            raw.sendall(said)
            answer = b""
            try:
                while data := raw.recv(4096):
                    answer += data
            except ConnectionResetError:
                pass
        # Nothing, or an alert of TLS (RFC 8446 section 6).
        assert answer[:1] in (b"", b"\x15") and b"HTTP" not in answer, answer
    until(lambda: site.refusals() >= before + 2, what=lambda: f"{site.refusals()} after {before}")
    # One that begins a handshake and says no more is ended by the deadline; TLS before 1.2 is refused.
    with socket.create_connection(("127.0.0.1", site.port), 60) as raw:
        raw.sendall(b"\x16\x03\x01")
        assert raw.recv(100) == b""
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", site.port), 60) as raw, pytest.raises(ssl.SSLError):
        old.wrap_socket(raw)
    assert site.issuer() in ("first", "second")


def test_a_bad_pair_at_start_is_one_line(cluster, tmp_path):
    good = certificate(tmp_path, "good")
    other = certificate(tmp_path, "other")
    for settings, text in (({"TLS_CERTIFICATE_FILE": good[0]}, "TLS_KEY_FILE: a certificate and its key are named together"),
                           ({"TLS_CERTIFICATE_FILE": good[0], "TLS_KEY_FILE": other[1]}, "the key"),
                           ({"TLS_CERTIFICATE_FILE": tmp_path / "none", "TLS_KEY_FILE": good[1]}, "the certificate in")):
        with pytest.raises(AssertionError, match="ended with 78"):
            cluster.extra("gateway", f"gateway-tls-bad-{len(str(settings))}", settings)
        log = cluster.processes[-1].output().strip()
        assert text in log and log.count("\n") == 0, log
