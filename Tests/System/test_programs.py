"""The binaries themselves: what they say of themselves, and how they refuse to start."""

import os
import subprocess

import pytest

from carillon import http
from carillon.servers import SERVICES, binaries


def program(name, *arguments, **environment):
    keep = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run([binaries() / name, *arguments], capture_output=True, text=True, timeout=20, env=keep | environment)


@pytest.mark.parametrize("name", [*SERVICES, "carillonctl"])
def test_help_and_version(name):
    answer = program(name, "--help")
    assert answer.returncode == 0 and "REDIS_URL" in answer.stdout or "KAFKA_BROKERS" in answer.stdout
    answer = program(name, "--version")
    assert answer.returncode == 0 and any(character.isdigit() for character in answer.stdout)


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


def test_carillonctl_mints_a_token_and_produces(cluster, person):
    bob = person("bob")
    settings = {"TOKEN_SECRET": cluster.token_secret, "DEMO": "true", "API_KEY": cluster.api_key, "EDGE_URL": cluster.edge_url,
                "KAFKA_BROKERS": cluster.broker.address, "REDIS_URL": cluster.redis.url}
    token = program("carillonctl", "token", "--user", bob, **settings).stdout.strip()
    assert http.request("GET", cluster.edge_url + "/v1/inbox", headers={"Authorization": "Bearer " + token}).status == 200
    with cluster.websocket(bob) as client:
        answer = program("carillonctl", "produce", "--user", bob, "--type", "message.direct", "--title", "by carillonctl", **settings)
        assert answer.returncode == 0, answer.stderr
        client.wait_title("by carillonctl")
