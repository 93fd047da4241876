"""docker-compose.yml and the files beside it, read without an engine: who is told which secret."""

import re

import pytest
import yaml

from carillon.processes import ROOT
from carillon.servers import SERVICES

from test_programs import program

FILES = ("docker-compose.yml", "deploy/compose.secrets.yml", "deploy/compose.ipv6.yml")
# carillonctl is called in the gateway's container: what it reads beyond the gateway.
FOR_THE_TOOL = {"KAFKA_PROPERTIES"}


def read(name):
    return yaml.safe_load((ROOT / name).read_text())["services"]


def secrets_of(service):
    """The secrets that a service reads, as it says itself."""
    rows = [line.split("\t") for line in program(service, "--settings").stdout.splitlines()]
    named = {row[0] for row in rows}
    return {name.removesuffix("_FILE") for name in named if name.endswith("_FILE") and name.removesuffix("_FILE") in named}


def told(environment):
    return {name.removesuffix("_FILE") for name in environment if name.removesuffix("_FILE") in ALL}


ALL = {"TOKEN_SECRET", "API_KEY", "REDIS_URL", "KAFKA_PROPERTIES"}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_told_the_secrets_that_it_reads_and_no_other(service):
    reads = secrets_of(service)
    assert reads and reads <= ALL, "a new secret: it belongs into both files and into ALL"
    environment = read("docker-compose.yml")[service]["environment"]
    assert told(environment) == reads | (FOR_THE_TOOL if service == "gateway" else set())
    for name in told(environment) - {"REDIS_URL"}:
        assert environment[name + "_FILE"] == f"${{{name}_FILE:-}}", "passed through"


@pytest.mark.parametrize("service", SERVICES)
def test_a_secret_in_a_file_reaches_who_reads_it(service):
    over = read("deploy/compose.secrets.yml")[service]
    names = secrets_of(service) - {"KAFKA_PROPERTIES"}
    assert set(over["environment"]) == names | {name + "_FILE" for name in names}
    for name in names:
        assert over["environment"][name] == "", "both is a mistake that stops the start"
    files = {over["environment"][name + "_FILE"] for name in names}
    assert files == {"/run/secrets/" + secret for secret in over["secrets"]}


def test_nobody_else_is_told_anything():
    for name, service in read("docker-compose.yml").items():
        if name not in SERVICES:
            assert told(service.get("environment", {})) <= ({"KAFKA_PROPERTIES"} if name == "topics" else set()), name
    over = read("deploy/compose.secrets.yml")
    assert set(over) == {*SERVICES, "redis"} and over["redis"]["secrets"] == ["redis-password"]


def test_what_is_published_is_published_on_loopback():
    for name in FILES:
        for service in read(name).values():
            for port in service.get("ports", []):
                assert re.match(r"127\.0\.0\.1:|\$\{EDGE_ADDRESS:-127\.0\.0\.1\}:|\[::1\]:", port), port
