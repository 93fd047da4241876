"""What the tests of RFC 6455 begin with, and those of SDKs."""

import json

import pytest

from carillon.browser import Browser
from carillon.proxy import Wire
from frames import TEXT, Raw, frame
from sdks import SDKS, ChromiumClient, JavaClient, missing


@pytest.fixture
def wire(cluster):
    wire = Wire(cluster.edge_url.removeprefix("http://"))
    yield wire
    wire.close()


@pytest.fixture
def dial(cluster):
    """New connections, closed with the test."""
    opened = []

    def dialled():
        opened.append(Raw(cluster.gateways[0].url))
        return opened[-1]
    yield dialled
    for raw in opened:
        raw.socket.close()


@pytest.fixture
def raw(dial):
    """A connection whose handshake is done."""
    made = dial()
    assert made.open() == 101
    return made


@pytest.fixture
def peer(raw, cluster, person):
    """A connection whose connect command is answered too: from here on each text message gets a reply."""
    command = json.dumps({"id": 1, "connect": {"token": cluster.token(person())}})
    raw.send(frame(TEXT, command.encode()))
    answer = raw.read()
    assert answer.opcode == TEXT and "connect" in json.loads(answer.payload), answer
    return raw


@pytest.fixture(scope="session")
def chromium():
    """One for all: each client is a tab of its own."""
    with Browser() as opened:
        yield opened


@pytest.fixture(scope="session")
def java(tmp_path_factory):
    """Compiled once for all."""
    JavaClient.compile(tmp_path_factory.mktemp("java"))


@pytest.fixture(params=SDKS)
def sdk(request):
    if missing(request.param):
        pytest.skip(missing(request.param))
    if request.param == "chromium":
        ChromiumClient.browser = request.getfixturevalue("chromium")
    if request.param == "java":
        request.getfixturevalue("java")
    return SDKS[request.param]
