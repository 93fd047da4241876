"""Every command block of the README is run as it stands; what starts or tests the suite is checked without doing so."""

import re
import shutil
import subprocess

import pytest

from carillon.processes import ROOT
from carillon.servers import binaries
from carillon.waiting import until

BLOCKS = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


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
    if block.startswith("docker compose"):
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
