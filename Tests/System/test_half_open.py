"""A client's machine that vanishes without a word: its packets are lost, its socket stays, and it is not online for longer."""

import os
import subprocess
import time

import pytest

from carillon import standstill
from carillon.waiting import until

PING, PONG, COMMENT = 7, 6, 1  # a machine that stands still for some seconds cuts nobody
NAMESPACE, OURS, THEIRS = (f"carillon-{os.getpid()}", f"ca{os.getpid()}a", f"ca{os.getpid()}b")
CLIENT = """
import sys, time, socket
head, address, port = sys.argv[1].encode().decode("unicode_escape").encode(), sys.argv[2], int(sys.argv[3])
s = socket.create_connection((address, port)); s.sendall(head)
if len(sys.argv) > 4:
    s.recv(65536); body = sys.argv[4].encode()
    s.sendall(b"\\x81\\xfe" + len(body).to_bytes(2, "big") + bytes(4) + body)
while data := s.recv(65536):
    if b"{}" in data[-4:]: s.sendall(b"\\x81\\x82" + bytes(4) + b"{}")
"""


def ip(*arguments):
    return subprocess.run(["ip", *arguments], capture_output=True, text=True)


@pytest.fixture(scope="module")
def elsewhere():
    """A network namespace behind a pair of virtual interfaces: our address."""
    if os.geteuid() != 0 or ip("netns", "add", NAMESPACE).returncode != 0:
        pytest.skip("needs network namespaces (root)")
    network = f"10.213.{os.getpid() % 256}"
    try:
        for command in (f"link add {OURS} type veth peer name {THEIRS}", f"link set {THEIRS} netns {NAMESPACE}",
                        f"addr add {network}.1/30 dev {OURS}", f"link set {OURS} up",
                        f"-n {NAMESPACE} addr add {network}.2/30 dev {THEIRS}", f"-n {NAMESPACE} link set {THEIRS} up"):
            answer = ip(*command.split())
            if answer.returncode != 0:
                pytest.skip(f"ip {command}: {answer.stderr.strip()}")
        yield f"{network}.1"
    finally:
        ip("link", "del", OURS)
        ip("netns", "del", NAMESPACE)


def test_a_vanished_machine_is_offline_in_time(cluster, elsewhere, person):
    gateway = cluster.extra("gateway", "gateway-half-open", {
        "LISTEN_ADDRESS": "0.0.0.0", "PING_INTERVAL": f"{PING}s", "PONG_TIMEOUT": f"{PONG}s", "SSE_COMMENT_INTERVAL": f"{COMMENT}s"})
    clients = []
    try:
        for transport in ("websocket", "sse"):
            name, head = person(transport), "Host: x\\r\\nAuthorization: Bearer "
            head = f"GET /connection/{transport} HTTP/1.1\\r\\n" + head + cluster.token(name) + "\\r\\n"
            more = []
            if transport == "websocket":
                head += ("Upgrade: websocket\\r\\nConnection: Upgrade\\r\\nSec-WebSocket-Version: 13\\r\\n"
                         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\\r\\n")
                more = ['{"id":1,"connect":{"data":"' + "x" * 200 + '"}}']  # long enough for a length of two bytes
            clients.append(subprocess.Popen(["ip", "netns", "exec", NAMESPACE, "python3", "-c", CLIENT, head + "\\r\\n", elsewhere,
                                             str(gateway.port), *more]))
        people = [person("websocket"), person("sse")]

        def online():
            return [entry["online"] for entry in cluster.online(*people)]
        until(lambda: online() == [True, True], what=online)
        for _ in range(3 * (PING + PONG)):
            assert online() == [True, True], "those who answer stay"
            time.sleep(0.5)
        assert all(client.poll() is None for client in clients)
        # From here on nothing arrives on either side, and nobody says so.
        assert ip("-n", NAMESPACE, "link", "set", THEIRS, "down").returncode == 0
        began = time.time()
        until(lambda: online() == [False, False], 90, online)
        took = standstill.took(began)
        print(f"offline after {took:.1f} s")
        assert took < 2 * (PING + PONG)
        assert gateway.metrics()['carillon_gateway_disconnects_total{reason="no_pong"}'] >= 1
    finally:
        for client in clients:
            client.kill()
            client.wait()
        gateway.end()
