"""Event streams as a browser has them: headless Chromium, through the edge."""

import json
import subprocess
import urllib.request

import pytest

from carillon import http, kafka
from carillon.browser import Browser
from carillon.clients import position
from carillon.processes import free_port
from carillon.servers import Edge

# A page of the edge's own origin that loads nothing.
BLANK = "/edge/health"
FOLLOW = """
(async (token, person) => {
  const answer = await fetch('/v1/connect', {method: 'POST', headers: {Authorization: 'Bearer ' + token}});
  const ticket = await answer.json();
  const tab = window.tab = {titles: [], greetings: [], notes: [], states: new Set()};
  const url = '/connection/sse' + new URL(ticket.sse).search;
  tab.source = new EventSource(url);
  tab.source.addEventListener('connected', (event) => tab.greetings.push([event.lastEventId, JSON.parse(event.data)]));
  tab.source.onmessage = (event) => {
    const notification = JSON.parse(event.data);
    tab.titles.push(notification.title);
    tab.notes.push([event.lastEventId, notification]);
  };
  const look = () => tab.states.add(tab.source.readyState);
  tab.source.onerror = look;
  setInterval(look, 20);
  await new Promise((resolve) => tab.source.onopen = resolve);
  return ticket;
})(%s, %s)
"""


def follow(cluster, page, person):
    """Opens an event stream in the page, as an application would; answers the ticket."""
    return page.value(FOLLOW % (json.dumps(cluster.token(person)), json.dumps(person)))


@pytest.fixture(scope="module")
def browser():
    with Browser(flags=["--ignore-certificate-errors"]) as opened:
        yield opened


@pytest.fixture
def page(cluster, browser):
    browser.open(cluster.edge_url + BLANK)
    yield browser
    browser.value("window.tab && tab.source.close()")


@pytest.fixture(scope="module")
def secure(cluster, tmp_path_factory):
    """An edge before the same servers that speaks TLS."""
    folder = tmp_path_factory.mktemp("edge-tls")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", folder / "key.pem",
                    "-out", folder / "certificate.pem"], check=True, capture_output=True)
    (folder / "edge.pem").write_text((folder / "certificate.pem").read_text() + (folder / "key.pem").read_text())
    edge = Edge(folder, {}, "edge-tls")
    edge.list.write_text(cluster.edge.list.read_text())
    port = free_port()
    edge.environment |= {"EDGE_CERTIFICATE": folder / "edge.pem", "EDGE_TLS_PORT": port}
    edge.start()
    edge.secure_url, edge.authority = f"https://127.0.0.1:{port}", folder / "certificate.pem"
    yield edge
    edge.end()


def send(cluster, person, *titles):
    kafka.produce(cluster.broker.address, "events.system-tests",
                  [kafka.event("message.direct", {"user": person}, title=title) for title in titles])


def test_an_event_source_outlives_ten_gateways(cluster, page, person):
    """Killed under it one after another, and both at once: it comes back by itself and goes on after its last event id."""
    bob = person("bob")
    follow(cluster, page, bob)
    send(cluster, bob, "before")
    page.until("tab.titles.length === 1")
    expected, kills = ["before"], 0
    while kills < 10:
        held = [gateway for gateway in cluster.gateways if gateway.metrics()['carillon_gateway_connections{transport="sse"}'] > 0]
        dying = held[:1] if kills % 3 == 0 and len(held) == 1 else cluster.gateways
        for gateway in dying:
            gateway.kill()
        kills += len(dying)
        titles = [f"{kills} {number}" for number in range(3)]
        send(cluster, bob, *titles)
        for gateway in dying:
            gateway.start()
        expected += titles
        page.until(f"tab.titles.length >= {len(expected)}")
    send(cluster, bob, "after")
    page.until(f"tab.titles.length > {len(expected)}")
    assert page.value("tab.titles") == [*expected, "after"], "once each, in order"
    assert 2 not in page.value("[...tab.states]"), "it never gave up"
    assert page.value("tab.source.readyState") == 1
    greetings = page.value("tab.greetings")
    assert len(greetings) >= 4 and all(greeting["recovered"] for _, greeting in greetings[1:]), greetings


def test_it_resumes_by_its_last_event_id(cluster, page, person):
    bob = person("bob")
    follow(cluster, page, bob)
    send(cluster, bob, "one", "two")
    page.until("tab.titles.length === 2")
    [gateway] = cluster.holders(bob)
    gateway.kill()
    send(cluster, bob, "three")
    gateway.start()
    page.until("tab.greetings.length === 2")
    page.until("tab.titles.length === 3")
    notes, greetings = page.value("tab.notes"), page.value("tab.greetings")
    assert greetings[1][0] == notes[1][0] and greetings[1][1]["recovered"] is True
    assert [position(cursor)[1] for cursor, _ in notes] == [1, 2, 3]


def test_no_field_can_be_injected(cluster, page, person):
    """CR, LF and NUL, escaped in a string or raw between the tokens of the producer's JSON, end no line and begin no field."""
    bob = person("bob")
    follow(cluster, page, bob)
    socket = cluster.websocket(bob)
    title = "first\r\n\r\ndata: {\"title\": \"second\"}\nid: 9.9-9\nevent: connected\nretry: 1\n\u0000\r\u2028end"
    event = kafka.event("message.direct", {"user": bob}, title=title, body="\r", data={"nested": {"text": "\n\n", "list": [1, 2]}})
    raw = json.dumps(event, indent=2).replace("\n", "\r\n").encode()
    answer = http.request("POST", cluster.edge_url + "/v1/events", raw, cluster.key | {"Content-Type": "application/cloudevents+json"})
    assert answer.status == 202, answer
    page.until("tab.titles.length >= 1")  # of another partition, it need not come first
    send(cluster, bob, "next")
    page.until("tab.titles.length >= 2")
    notes, greetings = page.value("tab.notes"), page.value("tab.greetings")
    assert len(greetings) == 1 and len(notes) == 2
    assert notes[0][1]["title"] == title and notes[0][1]["body"] == "\r" and notes[0][1]["data"]["nested"]["text"] == "\n\n"
    assert [position(cursor)[1] for cursor, _ in notes] == [1, 2]
    # Nor the line that a WebSocket's message is.
    assert [frame.notification["title"] for frame in socket.wait(2)] == [title, "next"]
    socket.close()
    # A cursor of the client's own making is read, never repeated.
    with cluster.event_stream(bob, cursor="1.1-1\tid: 7") as stream:
        assert stream.greeting["recovered"] is False and position(stream.cursor) == position(notes[1][0])
    evil = http.quote("1.1-1\n\ndata: {}\n\n")
    asked = urllib.request.Request(f"{cluster.edge_url}/connection/sse?last_event_id={evil}", headers=cluster.bearer(bob))
    with urllib.request.urlopen(asked, timeout=60) as answer:
        greeting = b""
        while not greeting.endswith(b"\n\n") or b"data:" not in greeting:
            greeting += answer.readline()
        send(cluster, bob, "last")
        while not greeting.endswith(b"\n\n") or b'"last"' not in greeting:
            greeting += answer.readline()
    blocks = [block for block in greeting.decode().split("\n\n") if block and block != ":"]
    assert len(blocks) == 2 and greeting.count(b"data:") == 2, greeting


def test_ten_tabs_share_one_connection_over_http_2(cluster, browser, secure, person):
    """Over HTTP/1.1 six of them would take all the connections that a browser opens to one host."""
    bob = person("bob")
    tabs = [browser.tab() for _ in range(10)]
    for tab in tabs:
        tab.open(secure.secure_url + BLANK)
        ticket = follow(cluster, tab, bob)
    assert [tab.value("performance.getEntriesByType('navigation')[0].nextHopProtocol") for tab in tabs] == ["h2"] * 10
    assert ticket["sse"].startswith(cluster.edge_url), "PUBLIC_URL is what the operator says"
    for round in range(3):
        send(cluster, bob, f"all {round}")
        for tab in tabs:
            tab.until(f"tab.titles.length === {round + 1}")
    for tab in tabs:
        assert tab.value("tab.titles") == ["all 0", "all 1", "all 2"] and tab.value("tab.source.readyState") == 1
        tab.value("tab.source.close()")


def curl(secure, *arguments):
    answer = subprocess.run(["curl", "-s", "--noproxy", "*", "-m", "60", "--cacert", secure.authority, *arguments],
                            capture_output=True, check=True)
    return answer.stdout.decode()


def test_tls_and_its_versions(secure, cluster, person):
    protocol = ("-o", "/dev/null", "-w", "%{http_version} %{http_code}")
    assert curl(secure, *protocol, secure.secure_url + BLANK) == "2 200"
    assert curl(secure, *protocol, "--http1.1", secure.secure_url + BLANK) == "1.1 200"
    old = subprocess.run(["curl", "-s", "--noproxy", "*", "--cacert", secure.authority, "--tls-max", "1.1", secure.secure_url + BLANK])
    assert old.returncode == 35, "TLS 1.1 is refused"
    gateway = cluster.extra("gateway", "gateway-without-public-url", {"PUBLIC_URL": ""})
    try:
        lines = secure.list.read_text()
        secure.end()
        secure.write({"gateway": [gateway.url.removeprefix("http://")]})
        secure.start()
        bearer = ("-X", "POST", "-H", f"Authorization: Bearer {cluster.token(person('bob'))}")
        ticket = json.loads(curl(secure, *bearer, secure.secure_url + "/v1/connect"))
        assert ticket["sse"].startswith(secure.secure_url) and ticket["websocket"].startswith("wss" + secure.secure_url[5:])
        plain = json.loads(curl(secure, *bearer, secure.url + "/v1/connect"))
        assert plain["sse"].startswith(secure.url) and plain["websocket"].startswith("ws:")
    finally:
        gateway.end()
        secure.end()
        secure.list.write_text(lines)
        secure.start()


def test_a_websocket_over_tls(cluster, browser, secure, person):
    """Over HTTP/2 too, where the browser wants it so (RFC 8441)."""
    bob = person("bob")
    browser.open(secure.secure_url + BLANK)
    browser.value("""new Promise((resolve, reject) => {
      window.tab = {titles: []};
      const socket = tab.source = new WebSocket(location.origin.replace('https', 'wss') + '/connection/websocket');
      socket.onopen = () => socket.send(JSON.stringify({id: 1, connect: {token: %s}}));
      socket.onerror = reject;
      socket.onmessage = (event) => {
        for (const line of event.data.split('\\n')) {
          const message = JSON.parse(line);
          if (message.connect) resolve();
          else if (message.push) tab.titles.push(message.push.pub.data.title);
          else socket.send('{}');
        }
      };
    }).then(() => null)""" % json.dumps(cluster.token(bob)))
    send(cluster, bob, "one", "two")
    browser.until("tab.titles.length === 2")
    assert browser.value("tab.titles") == ["one", "two"]
    browser.value("tab.source.close()")
