"""A mistake about a server's credentials, TLS or rights is one line in the log of each service that uses it, and says what it is."""

import os
import time

import pytest

from carillon import keys
from carillon.cluster import Service
from carillon.servers import SERVICES, Apns, RealBroker, Redis
from carillon.processes import free_port
from carillon.waiting import until

pytestmark = pytest.mark.skipif("KAFKA_HOME" not in os.environ, reason="a broker with SASL and TLS: set KAFKA_HOME")

KAFKA_USERS = ("notification-service", "fanout-worker", "push-service")
REDIS_USERS = ("fanout-worker", "gateway", "presence-service", "push-service")
# After its first line a service tries again once a second or two: a second line would come within this.
QUIET = 3


class Door:
    """A broker and a Redis, each with a plain and a secured port, and services that knock at them."""

    def __init__(self, directory):
        self.directory, self.edge_url, self.started = directory, "http://127.0.0.1:1", []
        self.certificate, self.stranger = keys.certificate(directory, "localhost"), keys.certificate(directory, "stranger")
        self.broker = RealBroker(os.environ["KAFKA_HOME"], directory, self.certificate)
        self.redis, self.apns = Redis(directory), Apns(directory)
        self.redis_url, self.tls_port = self.redis.url, free_port()

    def open(self):
        self.broker.start(wait=False)
        self.apns.start()
        self.redis.start()
        certificate, key = self.certificate
        for command in (["CONFIG", "SET", "tls-auth-clients", "no"],
                        ["CONFIG", "SET", "tls-cert-file", certificate, "tls-key-file", key, "tls-ca-cert-file", certificate, "tls-port",
                         self.tls_port],
                        ["ACL", "SETUSER", "carillon", "on", ">geheim", "~*", "&*", "+@all", "-@admin", "-@dangerous", "+info"],
                        ["ACL", "SETUSER", "reader", "on", ">geheim", "~*", "&*", "+@read", "+@connection", "+info"]):
            assert self.redis.ask(*command) == "OK"
        self.broker.wait_ready()
        return self

    def close(self):
        for process in [*self.started, self.redis, self.apns, self.broker]:
            process.end()

    def kafka(self, secured=True, **changed):
        """Settings with which the broker lets a service in, changed; None: without it."""
        values = {"security.protocol": "SASL_SSL", "sasl.mechanism": "PLAIN", "sasl.username": self.broker.USER,
                  "sasl.password": self.broker.PASSWORD, "ssl.ca.location": self.certificate[0]}
        values |= {name.replace("_", "."): value for name, value in changed.items()}
        return {"KAFKA_BROKERS": self.broker.secured if secured else self.broker.address,
                "KAFKA_PROPERTIES": ";".join(f"{name}={value}" for name, value in values.items() if value is not None)}

    def tls(self, user="carillon:geheim", scheme="rediss", port=None, authority=None):
        return {"REDIS_URL": f"{scheme}://{user}@localhost:{port or self.tls_port}", "REDIS_CA_FILE": authority or self.certificate[0]}

    def knock(self, service, name, settings):
        process = Service(self, service, f"{service}-{name}", settings)
        self.started.append(process.start(wait=False))
        return process


# name: (settings, what the one line says: one of these)
KAFKA = {
    "password": (lambda door: door.kafka(sasl_password="falsch"), "it refuses user or password (sasl.username, sasl.password)"),
    "authority": (lambda door: door.kafka(ssl_ca_location=door.stranger[0]), "its certificate is not trusted (ssl.ca.location)"),
    "no-sasl": (lambda door: door.kafka(security_protocol="SSL", sasl_mechanism=None), "this listener wants SASL (security.protocol)"),
    "plain-text": (lambda door: door.kafka(security_protocol="PLAINTEXT", sasl_mechanism=None),
                   "this listener speaks TLS, it seems (security.protocol)"),
    "tls-to-plain": (lambda door: door.kafka(secured=False), "the handshake of TLS failed, as where a listener speaks none"),
}
REDIS = {
    "password": (lambda door: door.tls("carillon:falsch"), "user or password is wrong (WRONGPASS)"),
    "authority": (lambda door: door.tls(authority=door.stranger[0]), "its certificate is not trusted"),
    "plain-text": (lambda door: door.tls(scheme="redis"),
                   "it speaks TLS, so its URL begins with rediss:// | (a port that speaks TLS wants rediss://)"),
    "tls-to-plain": (lambda door: door.tls(port=door.redis.port), "it does not speak TLS | (does this port speak TLS?)"),
    "acl": (lambda door: door.tls("reader:geheim"), "the user may not do that (its ACL) (NOPERM): SET"),
}


def lines(process, dependency):
    return process.lines(f"dependency is (down|up|not fit).* dependency={dependency}")


@pytest.fixture(scope="module")
def door(tmp_path_factory):
    door = Door(tmp_path_factory.mktemp("door"))
    try:
        yield door.open()
    finally:
        door.close()


@pytest.fixture
def knock(door):
    """Starts a service at the door, for one test."""
    began = len(door.started)
    yield door.knock
    for process in door.started[began:]:
        process.end()


def test_with_everything_right_each_is_let_in(door, knock):
    assert {*KAFKA_USERS, *REDIS_USERS} == set(SERVICES)
    for process in [knock(service, "right", door.kafka() | door.tls()) for service in SERVICES]:
        process.wait_ready()


@pytest.mark.parametrize("kafka, redis", zip(KAFKA, REDIS))
def test_each_mistake_is_one_line_that_says_what_it_is(door, knock, kafka, redis):
    knocking = []
    for dependency, name, table, users in (("kafka", kafka, KAFKA, KAFKA_USERS), ("redis", redis, REDIS, REDIS_USERS)):
        settings, words = table[name]
        knocking += [(knock(service, f"{dependency}-{name}", settings(door)), dependency, words) for service in users]
    for process, dependency, words in knocking:
        until(lambda: lines(process, dependency), what=lambda: f"a line of {process.name}:\n{process.tail()}")
    time.sleep(QUIET)
    for process, dependency, words in knocking:
        said = lines(process, dependency)
        assert len(said) == 1 and "dependency is up" not in said[0], process.tail()
        assert any(part in said[0] for part in words.split(" | ")), f"{said[0]}, and not {words}"
        assert process.runs, f"{process.name} has ended"
        assert "geheim" not in process.output() and "falsch" not in process.output(), f"{process.name} writes a password"
    if redis == "acl":
        # What is mended in Redis is found by itself.
        assert door.redis.ask("ACL", "SETUSER", "reader", "+@all", "-@admin", "-@dangerous", "+info") == "OK"
        for process in [process for process, dependency, _ in knocking if dependency == "redis"]:
            until(lambda: process.lines('"dependency is up again" dependency=redis'), what=lambda: f"{process.name}:\n{process.tail()}")
