"""carillon-local, which `make run` and `make demo` are: the whole suite on one machine, with a Redis and a broker of its own."""

import os
import pathlib
import re
import signal
import subprocess

import pytest

from carillon import http, tokens
from carillon.processes import ROOT
from carillon.servers import SERVICES, binaries, has_loopback_6
from carillon.waiting import until

SERVERS = ["REDIS_PID", "KAFKA_PID"]


class Local:
    """One run of it, in a folder of its own, on a free port."""

    def __init__(self, folder, *words, **settings):
        self.folder, self.log = folder / "local", folder / "screen"
        environment = {**os.environ, "LOCAL_DIRECTORY": str(self.folder), "EDGE_PORT": "0", **settings}
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([binaries() / "carillon-local", *words], cwd=ROOT, env=environment, stdout=log,
                                            stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True)

    @property
    def screen(self):
        return self.log.read_text()

    def wait_screen(self):
        until(lambda: "Ctrl-C stops everything" in self.screen or self.process.poll() is not None, 180, lambda: self.screen)
        assert self.process.poll() is None, self.screen
        return self.screen

    def environment(self):
        """cluster.env, as a shell reads it."""
        lines = subprocess.run(["sh", "-c", 'set -e; . "$0"; set', self.folder / "cluster.env"], capture_output=True, text=True, check=True)
        pairs = (line.partition("=") for line in lines.stdout.splitlines())
        return {name: value.strip("'") for name, _, value in pairs}

    def pids(self):
        values = self.environment()
        names = [service.upper().replace("-", "_") + "_PIDS" for service in SERVICES] + SERVERS
        return [int(pid) for name in names for pid in values[name].split()]

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(120)


@pytest.fixture
def local(tmp_path):
    started = []

    def start(*words, **settings):
        started.append(Local(tmp_path, *words, **settings))
        return started[-1]
    yield start
    for one in started:
        one.end()


def runs(pid):
    """A zombie whose parent was killed is over, whoever comes to collect it."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def paste(line):
    return subprocess.run(["bash", "-c", line], cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_it_starts_says_how_restarts_who_dies_and_leaves_nobody(local):
    running = local(GATEWAYS="2")
    screen = running.wait_screen()
    values = running.environment()
    assert len(values["GATEWAY_URLS"].split()) == len(values["OPERATIONS_GATEWAY"].split()) == 2
    assert http.request("GET", values["EDGE_URL"] + "/").status == 200
    assert re.search(re.escape(values["EDGE_URL"]) + "/$", screen, re.MULTILINE), screen

    posted = paste(re.search(r"^ +(curl .*)$", screen, re.MULTILINE)[1])
    assert posted.stdout.strip().endswith("202"), posted
    produced = paste(re.search(r"^ +(echo .*kcat .*)$", screen, re.MULTILINE)[1])
    assert produced.returncode == 0, produced
    tail = subprocess.Popen(["bash", "-c", "exec env " + re.search(r"^ +(\S.*carillonctl tail .*)$", screen, re.MULTILINE)[1]],
                            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert "connected" in tail.stdout.readline()
        paste(re.search(r"^ +(echo .*kcat .*)$", screen, re.MULTILINE)[1])
        assert "Alice mentioned you" in tail.stdout.readline()
    finally:
        tail.kill()
        tail.communicate()

    victim = int(values["GATEWAY_PIDS"].split()[1])
    os.kill(victim, signal.SIGKILL)
    until(lambda: "gateway-2 is ready again" in running.screen, 90, lambda: running.screen)
    assert "gateway-2 died (signal 9); it is started again in 1 s" in running.screen
    until(lambda: len(left := running.environment()["GATEWAY_PIDS"].split()) == 2 and str(victim) not in left, what=running.environment)

    assert (running.folder / "cluster.env").stat().st_mode & 0o777 == 0o600
    # Secrets reach those who check them.
    for name in ("TOKEN_SECRET", "API_KEY"):
        told = {service for service in SERVICES for pid in values[service.upper().replace("-", "_") + "_PIDS"].split() if runs(int(pid))
                and f"{name}=".encode() in pathlib.Path(f"/proc/{pid}/environ").read_bytes()}
        assert told == {service for service in SERVICES if name in subprocess.run(
            [binaries() / service, "--settings"], capture_output=True, text=True, check=True).stdout.split()}

    pids = running.pids()
    assert len(pids) == 8 and all(runs(pid) for pid in pids)
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(120) == 0, running.screen
    assert not any(runs(pid) for pid in pids)
    assert not (running.folder / "cluster.env").exists()


def test_a_kill_leaves_nobody_behind(local):
    running = local()
    running.wait_screen()
    pids = running.pids()
    running.process.kill()
    until(lambda: not any(runs(pid) for pid in pids), what=lambda: [pid for pid in pids if runs(pid)])


def test_a_taken_port_is_one_clear_line(local, cluster):
    refused = local(EDGE_PORT=cluster.edge_url.rpartition(":")[2])
    assert refused.process.wait(120) == 1
    assert "is taken" in refused.screen and "EDGE_PORT" in refused.screen and "LOCAL_DIRECTORY" in refused.screen


def test_a_second_run_on_the_folder_of_the_first_is_refused_and_harms_nothing(local):
    first = local()
    values = (first.wait_screen(), first.environment())[1]
    second = local()
    assert second.process.wait(120) == 1
    assert "LOCAL_DIRECTORY" in second.screen and str(first.process.pid) in second.screen
    assert first.environment() == values and http.answers(values["EDGE_URL"] + "/edge/health")
    # The tool reads the folder that it is told of, wherever it is called.
    listed = subprocess.run([binaries() / "carillonctl", "dlq", "list"], cwd="/", capture_output=True, text=True, timeout=60,
                            env=os.environ | {"LOCAL_DIRECTORY": str(first.folder)})
    assert listed.returncode == 0, listed


def test_a_page_is_answered_with_the_name_that_it_asked(local):
    """Of `localhost` as of 127.0.0.1, over IPv6 where that is, and from a page of one's own at another port."""
    running = local()
    running.wait_screen()
    values = running.environment()
    port = values["EDGE_URL"].rpartition(":")[2]
    bearer = {"Authorization": "Bearer " + tokens.mint(values["TOKEN_SECRET"], "bob")}
    for host in ("localhost", "127.0.0.1", *(["[::1]"] if has_loopback_6() else [])):
        own = f"http://{host}:{port}"
        for page in (own, "http://localhost:5173"):
            answer = http.request("POST", own + "/v1/connect", b"", bearer | {"Origin": page})
            assert answer.status == 200, answer
            assert answer.json()["sse"].startswith(own + "/") and answer.json()["websocket"].startswith(f"ws://{host}:{port}/")
            assert page == own or answer.headers["Access-Control-Allow-Origin"] == page
    assert http.request("POST", f"http://localhost:{port}/v1/connect", b"", bearer | {"Origin": "https://evil.example"}).status == 403


def test_the_story_is_true(local):
    told = local("run", "/usr/bin/python3", str(ROOT / "Tests/Demo/story.py"), GATEWAYS="2")
    assert told.process.wait(300) == 0, told.screen
    assert "All of it held." in told.screen
