"""Redis comes back from its backup: the operator's lines, as docs/operations.md has them, and what people see of it."""

import datetime
import os
import re
import subprocess

import pytest

from carillon import http, kafka
from carillon.clients import position
from carillon.cluster import Cluster
from carillon.processes import ROOT
from carillon.servers import binaries
from carillon.waiting import stays, until

pytestmark = pytest.mark.skipif("KAFKA_HOME" not in os.environ, reason="the mock forgets offsets that were committed: set KAFKA_HOME")


class Operator:
    """Runs the lines of a section of docs/operations.md on a machine where its programs and paths are those of the test."""

    def __init__(self, cluster):
        self.cluster, self.folder = cluster, cluster.directory / "operator"
        self.backup, self.data = self.folder / "backup", cluster.directory / "redis-data"
        self.programs = self.folder / "bin"
        for folder in (self.backup, self.programs):
            folder.mkdir(parents=True)
        # What the service's own configuration says, for the line that starts Redis by hand.
        self.configuration = self.folder / "redis.conf"
        words = [str(word) for word in cluster.redis.command[1:]]
        pairs = zip(words[::2], words[1::2])
        self.configuration.write_text("".join(f"{name.removeprefix('--')} {value or chr(34) * 2}\n" for name, value in pairs))
        port = cluster.redis.port
        self.program("redis-cli", f'exec /usr/bin/redis-cli -p {port} "$@"')
        self.program("systemctl", f'[ "$1" = start ] || /usr/bin/redis-cli -p {port} SHUTDOWN')
        self.program("chown", "true")
        self.program("carillonctl", f'REDIS_URL={cluster.redis.url} exec {binaries()}/carillonctl "$@"')
        for name in ("kafka-console-consumer.sh", "kafka-consumer-groups.sh"):
            self.program(name, f'exec {cluster.broker.home}/bin/{name} "$@"')

    def program(self, name, text):
        file = self.programs / name
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)

    def close(self):
        """Ends the Redis that a line has started, if the lines broke off behind it."""
        subprocess.run([self.programs / "redis-cli", "SHUTDOWN", "NOSAVE"], capture_output=True, timeout=60)

    @staticmethod
    def blocks():
        section = (ROOT / "docs/operations.md").read_text().partition("\n## Backup and restore\n")[2].partition("\n## ")[0]
        return re.findall(r"```sh\n(.*?)```", section, re.S)

    def run(self, block, moment=None):
        text = block.replace("--bootstrap-server …", f"--bootstrap-server {self.cluster.broker.address}")
        text = text.replace("2026-11-28T03:00:00.000", moment or "").replace("2026-11-28", f"{datetime.date.today()}")
        for path, own in (("/backup", self.backup), ("/var/lib/redis", self.data), ("/etc/redis/redis.conf", self.configuration)):
            text = text.replace(path, str(own))
        assert "…" not in text
        answer = subprocess.run(["bash", "-euc", text], capture_output=True, text=True, timeout=180,
                                env=os.environ | {"PATH": f"{self.programs}:{os.environ['PATH']}"})
        assert answer.returncode == 0, answer.stdout + answer.stderr
        return answer.stdout


def titles(cluster, person):
    return [entry["title"] for entry in cluster.inbox(person)["notifications"]]


def pushes(cluster, token):
    return [push["payload"]["aps"]["alert"]["title"] for push in cluster.apns.received(token) if push["status"] == 200]


def audit(cluster):
    return subprocess.run([binaries() / "carillonctl", "inbox", "audit", "--all"], capture_output=True, text=True, timeout=60,
                          env=os.environ | {"REDIS_URL": cluster.redis.url})


def test_a_restored_redis_and_a_rewound_group_lose_and_double_nothing(tmp_path):
    cluster = Cluster(tmp_path, gateways=1)
    operator = Operator(cluster)
    try:
        cluster.warm("events.message")
        check(cluster, operator)
    finally:
        operator.close()
        cluster.stop()


def check(cluster, operator):
    def send(person, title):
        cluster.produce(kafka.event("message.direct", {"user": person}, title=title), "events.message")

    before = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000")
    cluster.device("carol", "c1" * 32)
    cluster.device("dave", "d1" * 32)
    bob = cluster.websocket("bob")
    for title in ("one", "two"):
        send("bob", title)
        bob.wait_title(title)
    send("carol", "early")
    send("dave", "read")
    until(lambda: pushes(cluster, "c1" * 32) == ["early"] and pushes(cluster, "d1" * 32) == ["read"], what="the first pushes")
    cursor = cluster.inbox("dave")["cursor"]
    assert http.request("POST", cluster.edge_url + "/v1/inbox/read", {"cursor": cursor}, cluster.bearer("dave")).status == 200
    kafka.produce_raw(cluster.broker.address, "events.dlq", b"a letter of before")

    saving, restoring, rewinding = operator.blocks()
    operator.run(saving)
    assert "a letter of before" in (operator.backup / "events.dlq").read_text()

    # Redis will know nothing of what follows.
    for title in ("three", "four"):
        send("bob", title)
        bob.wait_title(title)
    send("carol", "late")
    until(lambda: pushes(cluster, "c1" * 32) == ["early", "late"], what="the push after the snapshot")
    old = bob.cursor
    bob.close()

    stopped = [cluster[name] for name in ("fanout-worker", "push-service", "gateway")]
    for service in stopped:
        assert service.terminate() == 0
    assert "PONG" in operator.run(restoring)
    cluster.redis.process.wait(60)
    cluster.redis.start()
    assert "generation 1" in operator.run(rewinding, before)
    for service in stopped:
        service.start(wait=False)
    for service in cluster.all():
        service.wait_ready()

    until(lambda: len(titles(cluster, "bob")) >= 4, what=lambda: titles(cluster, "bob"))
    with cluster.websocket("bob", cursor=old) as again:
        assert again.recovered is False, "a cursor of before the restore"
        assert position(again.cursor)[0] != position(old)[0]
        send("bob", "five")
        again.wait_title("five")
        assert again.titles == ["five"]
    # Everything that Kafka has is there once; nothing is left behind the rewind that could still double it.
    assert titles(cluster, "bob") == ["one", "two", "three", "four", "five"]
    assert titles(cluster, "carol") == ["early", "late"] and titles(cluster, "dave") == ["read"]
    until(lambda: pushes(cluster, "c1" * 32).count("late") == 2, what="the push that nothing remembers")
    stays(lambda: pushes(cluster, "c1" * 32) == ["early", "late", "late"] and pushes(cluster, "d1" * 32) == ["read"], 2,
          lambda: (pushes(cluster, "c1" * 32), pushes(cluster, "d1" * 32)))
    late = [push for push in cluster.apns.received("c1" * 32) if push["payload"]["aps"]["alert"]["title"] == "late"]
    assert len({push["apnsId"] for push in late}) == 1 and len({push["collapseId"] for push in late}) == 1
    answer = audit(cluster)
    assert answer.returncode == 0, answer.stdout
