"""Every block of the README is run as it stands; what starts or tests the suite is checked without doing so."""

import http.server
import os
import re
import shutil
import subprocess
import threading

import pytest

from carillon import http as client
from carillon import kafka
from carillon.browser import Browser
from carillon.processes import ROOT
from carillon.servers import binaries
from carillon.waiting import until

TEXT = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)


def block(language, word):
    """The one block of a language that has this word in it."""
    found, = (one for one in re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL) if word in one)
    return found


@pytest.fixture
def folder(cluster, tmp_path):
    """A checkout as `make run` leaves it, with the address of the tests' own cluster."""
    (tmp_path / ".local").mkdir()
    (tmp_path / ".build").mkdir()
    (tmp_path / ".build/release").symlink_to(binaries())
    (tmp_path / "deploy").symlink_to(ROOT / "deploy")
    values = {"EDGE_URL": cluster.edge_url, "KAFKA_BROKERS": cluster.broker.address, "REDIS_URL": cluster.redis.url,
              "TOKEN_SECRET": cluster.token_secret, "API_KEY": cluster.api_key}
    (tmp_path / ".local/cluster.env").write_text("".join(f"{name}='{value}'\n" for name, value in values.items()))
    return tmp_path


def runs(block, folder, timeout=120):
    return subprocess.run(["bash", "-euo", "pipefail", "-c", block], cwd=folder, capture_output=True, text=True, timeout=timeout)


def kind(block):
    if block.startswith("make "):
        return "make"
    if "docker compose" in block:
        return "compose"
    return "stream" if "until Ctrl-C" in block else "command"


def test_there_is_something_to_run():
    assert {kind(block) for block in BLOCKS} == {"make", "compose", "stream", "command"}


@pytest.mark.parametrize("block", [block for block in BLOCKS if kind(block) == "make"])
def test_what_make_is_told_it_knows(block):
    for line in block.splitlines():
        assert subprocess.run(["make", "-n", *line.split()[1:]], cwd=ROOT, capture_output=True).returncode == 0, line


@pytest.mark.parametrize("block", [block for block in BLOCKS if kind(block) == "compose"])
def test_compose_reads_its_file(block):
    """Only that it is understood; where there is no Docker engine, not even that can be asked."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]) and subprocess.run([*command, "version"], capture_output=True).returncode == 0:
            assert subprocess.run([*command, "config", "-q"], cwd=ROOT, capture_output=True).returncode == 0
            return
    pytest.skip("no docker compose on this machine")


def test_the_commands_do_what_the_page_says(cluster, folder):
    stream = next(block for block in BLOCKS if kind(block) == "stream")
    with open(folder / "tail", "w") as output:
        tail = subprocess.Popen(["bash", "-c", "exec " + stream.split("#")[0]], cwd=folder, stdout=output, stderr=output)
    try:
        until(lambda: "connected" in (folder / "tail").read_text(), what="the tail is connected")
        for block in (block for block in BLOCKS if kind(block) == "command"):
            done = runs(block, folder)
            # The doctor finds fault with what a test's cluster leaves out; the page claims no more than that it answers.
            assert done.returncode == 0 or "doctor" in block, block + done.stdout + done.stderr
            assert "doctor" not in block or len(done.stdout.splitlines()) >= 5, done.stdout + done.stderr
        until(lambda: {"Alice mentioned you", "Lunch?"} <= set(re.findall(r"Alice mentioned you|Lunch\?",
              (folder / "tail").read_text())), what="what the page sends arrives")
    finally:
        tail.terminate()
        tail.wait()


def test_each_language_signs_a_token_that_is_taken(cluster):
    environment = os.environ | {"TOKEN_SECRET": cluster.token_secret}
    programs = [["python3", "-c", block("python", "def token") + "\nprint(token('signed'))"],
                ["node", "-e", block("js", "createHmac") + "\nconsole.log(token('signed'))"]]
    for program in programs:
        if not shutil.which(program[0]):
            continue
        signed = subprocess.run(program, env=environment, capture_output=True, text=True, check=True, timeout=60).stdout.strip()
        answer = client.request("GET", cluster.edge_url + "/v1/inbox", headers={"Authorization": "Bearer " + signed})
        assert answer.status == 200, (program[0], answer)


def test_the_policy_of_a_type_of_ones_own_is_one(cluster, folder):
    (folder / "policies.yaml").write_text(block("yaml", "order.shipped"))
    done = subprocess.run([binaries() / "carillonctl", "doctor"], cwd=folder, capture_output=True, text=True, timeout=120,
                          env=os.environ | {"POLICIES": str(folder / "policies.yaml")})
    assert re.search(r"^ok +policies +\S+ can be used$", done.stdout, re.MULTILINE) and "events.order" in done.stdout, done.stdout


@pytest.fixture
def own_page(cluster, person):
    """A page of one's own at a port of its own, whose back end signs tokens for 4 s."""
    bob = person("bob")

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            served.asked += self.path == "/token"
            body = cluster.token(bob, 4).encode() if self.path == "/token" else b"<!doctype html><title>mine</title>"
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass
    served = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.asked, served.person, served.url = 0, bob, f"http://127.0.0.1:{served.server_address[1]}"
    threading.Thread(target=served.serve_forever, args=(0.05,), daemon=True).start()
    yield served
    served.shutdown()
    served.server_close()


def outlives(cluster, own_page, titles):
    """Notifications go on arriving, once each and in order, while one token after another ends."""
    sent = []
    until(lambda: cluster.online(own_page.person)[0]["online"], what="the page is there")
    for tokens in range(1, 5):
        until(lambda: own_page.asked >= tokens, what=f"token {tokens} is asked for")
        sent.append(f"with token {tokens}")
        kafka.produce(cluster.broker.address, "events.system-tests",
                      [kafka.event("message.direct", {"user": own_page.person}, title=sent[-1])])
        until(lambda: titles() == sent, what=lambda: f"{sent}, not {titles()}")


def test_the_event_source_goes_on_when_its_token_ends_on_a_page_of_ones_own(cluster, own_page):
    with Browser() as browser:
        browser.open(own_page.url + "/")
        browser.value(f"window.carillon = {cluster.edge_url!r}, window.shown = [], window.unread = null, "
                      "window.freshToken = () => fetch('/token').then((answer) => answer.text()), "
                      "window.show = (notification) => shown.push(notification.title), window.badge = (count) => unread = count, null")
        browser.value(block("js", "new EventSource").removesuffix("follow();\n") + "follow(), null")
        outlives(cluster, own_page, lambda: browser.value("shown"))
        cursor = cluster.inbox(own_page.person)["cursor"]
        client.request("POST", cluster.edge_url + "/v1/inbox/read", {"cursor": cursor}, cluster.bearer(own_page.person))
        browser.until("unread === 0")


def test_the_sdk_goes_on_when_its_token_ends(cluster, own_page, tmp_path):
    if not os.environ.get("CENTRIFUGE_JS") or not shutil.which("node"):
        pytest.skip("CENTRIFUGE_JS and node are wanted")
    program = f"""
        const {{ Centrifuge }} = require(process.env.CENTRIFUGE_JS);
        globalThis.WebSocket ??= require("ws");
        const carillon = {cluster.edge_url!r}, freshToken = () => fetch({own_page.url!r} + "/token").then((answer) => answer.text());
        const show = (notification) => process.stdout.write(notification.title + "\\n");
        {block("js", "new Centrifuge")}"""
    with open(tmp_path / "shown", "w") as output:
        node = subprocess.Popen(["node", "-e", program], stdout=output, stderr=subprocess.DEVNULL,
                                env=os.environ | {"NODE_PATH": "/usr/share/nodejs:" + os.environ.get("NODE_PATH", "")})
    try:
        outlives(cluster, own_page, lambda: (tmp_path / "shown").read_text().splitlines())
    finally:
        node.kill()
        node.wait()
