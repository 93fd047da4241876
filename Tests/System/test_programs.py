"""The binaries themselves: what they say of themselves, and how they refuse to start."""

import os
import subprocess
import threading

import pytest

from carillon import http, kafka
from carillon.processes import ROOT
from carillon.servers import SERVICES, binaries
from carillon.waiting import until


def program(name, *arguments, **environment):
    keep = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run([binaries() / name, *arguments], capture_output=True, text=True, timeout=120, env=keep | environment)


@pytest.mark.parametrize("name", [*SERVICES, "carillonctl"])
def test_help_and_version(name):
    answer = program(name, "--help")
    assert answer.returncode == 0 and "REDIS_URL" in answer.stdout or "KAFKA_BROKERS" in answer.stdout
    answer = program(name, "--version")
    assert answer.returncode == 0 and any(character.isdigit() for character in answer.stdout)


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_marked_as_required_is_missed_by_name(name):
    rows = [line.split("\t") for line in program(name, "--settings").stdout.splitlines()]
    required = [row[0] for row in rows if row[5]]
    assert required
    help_rows = program(name, "--help").stdout.splitlines()
    for variable in required:
        assert [row for row in help_rows if row.split()[:2] == [variable, "required"] and "(secret)" in row], variable
        answer = program(name, **{other: "x" * 40 for other in required if other != variable})
        assert answer.returncode == 78 and answer.stderr.startswith(f"{name}: {variable}: not set"), answer.stderr


@pytest.mark.parametrize("name", SERVICES)
def test_an_invalid_setting_stops_the_start_with_one_line_that_names_it(name):
    answer = program(name, PORT="http", DEMO="true", TOKEN_SECRET="x" * 32, API_KEY="y" * 16)
    text = (answer.stdout + answer.stderr).strip()
    assert answer.returncode != 0 and "PORT" in text and len(text.splitlines()) == 1, text


@pytest.mark.parametrize("name, variable, value", [
    ("gateway", "TOKEN_SECRET", "carillon-demo-token-secret-0000000"),
    ("notification-service", "API_KEY", "carillon-demo-key"),
])
def test_well_known_credentials_stop_the_start_without_demo(name, variable, value):
    settings = {"TOKEN_SECRET": "another-secret-another-secret-1234", "API_KEY": "another-key-another"} | {variable: value}
    answer = program(name, PORT="1", **settings)
    text = answer.stdout + answer.stderr
    assert answer.returncode != 0 and variable in text and "DEMO" in text, text


def test_operations(cluster):
    for service in cluster.all():
        assert http.request("GET", service.operations + "/health/live").status == 200
        ready = http.request("GET", service.operations + "/health/ready")
        assert ready.status == 200
        metrics = http.request("GET", service.operations + "/metrics")
        assert metrics.headers["Content-Type"].startswith("text/plain")
        assert b"carillon_dependency_up{" in metrics.body
        for path in ("/metrics", "/health/live"):
            assert http.request("GET", service.url + path).status == 404, "operations have a port of their own"


@pytest.fixture
def carillonctl(cluster):
    settings = {"TOKEN_SECRET": cluster.token_secret, "DEMO": "true", "API_KEY": cluster.api_key, "EDGE_URL": cluster.edge_url,
                "KAFKA_BROKERS": cluster.broker.address, "REDIS_URL": cluster.redis.url, "POLICIES": str(ROOT / "deploy/policies.yaml")}
    return lambda *arguments, **changed: program("carillonctl", *arguments, **(settings | changed))


def test_carillonctl_mints_a_token_and_produces(cluster, carillonctl, person):
    bob = person("bob")
    token = carillonctl("token", "--user", bob).stdout.strip()
    assert http.request("GET", cluster.edge_url + "/v1/inbox", headers={"Authorization": "Bearer " + token}).status == 200
    with cluster.websocket(bob) as client:
        answer = carillonctl("produce", "--user", bob, "--type", "message.direct", "--title", "by carillonctl")
        assert answer.returncode == 0, answer.stderr
        client.wait_title("by carillonctl")


def test_carillonctl_tails_what_arrives(cluster, carillonctl, person):
    bob = person("bob")
    answers = []
    tail = threading.Thread(target=lambda: answers.append(carillonctl("tail", "--user", bob, "--count", "2")))
    tail.start()
    until(lambda: cluster.online(bob)[0]["online"], what="the tail is connected")
    for title in ("the first", "the second"):
        cluster.produce(kafka.event("message.direct", {"user": bob}, title=title))
    tail.join(120)
    lines = answers[0].stdout.splitlines()
    assert answers[0].returncode == 0 and "the first" in lines[-2] and "the second" in lines[-1]


def test_carillonctl_shows_dead_letters_and_their_bodies_only_when_asked(cluster, carillonctl):
    mark = kafka.identity()
    kafka.produce_raw(cluster.broker.address, "events.social", f"secret words {mark}".encode())
    found = until(lambda: [record for record in cluster.dead_letters() if mark in (record["value"] or "")], what="the dead letter")[0]
    place = f"events.dlq/{found['partition']}/{found['offset']}"
    listed = carillonctl("dlq", "list", "--topic", "events.dlq")
    line = next(line for line in listed.stdout.splitlines() if place in line)
    assert "not_json" in line and "events.social" in line and "secret words" not in listed.stdout
    shown = carillonctl("dlq", "show", place)
    assert shown.returncode == 0 and "not_json" in shown.stdout and "secret words" not in shown.stdout
    assert f"secret words {mark}" in carillonctl("dlq", "show", place, "--body").stdout


def refused(cluster):
    """Credentials that any service refused so far."""
    return sum(value for service in cluster.all() for name, value in service.metrics().items()
               if name.startswith("carillon_refused_credentials_total"))


def test_carillonctl_doctor(cluster, carillonctl, tmp_path):
    before = refused(cluster)
    well = carillonctl("doctor")
    assert well.returncode == 0, well.stdout
    assert [line for line in well.stdout.splitlines() if line.startswith("ok    event to inbox") and " arrived after " in line], well.stdout
    assert len([line for line in well.stdout.splitlines() if line.startswith("ok    edge to ")]) == 5, well.stdout
    without = carillonctl("doctor", TOKEN_SECRET="", API_KEY="")
    assert without.returncode == 0 and "set API_KEY to try what it guards" in without.stdout, without.stdout
    assert refused(cluster) == before, "the doctor is nobody's intruder"
    wrong = carillonctl("doctor", API_KEY="another-key-another", TOKEN_SECRET="another-secret-another-secret-1234")
    assert wrong.returncode == 1 and wrong.stdout.count("was refused: ") == 4 and "event to inbox" not in wrong.stdout, wrong.stdout
    assert refused(cluster) == before + 4
    ill = carillonctl("doctor", REDIS_URL="redis://127.0.0.1:1")
    assert ill.returncode == 1 and [line for line in ill.stdout.splitlines() if line.startswith("fail") and "redis" in line]
    cluster.redis.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    try:
        evicting = carillonctl("doctor")
    finally:
        cluster.redis.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
    assert evicting.returncode == 1 and "noeviction" in evicting.stdout
