"""A mistake about a server's credentials, TLS or rights is one line in the log of each service that uses it, and says what it is."""

import os
import re
import time
import types

import pytest

from carillon import keys
from carillon.cluster import Service
from carillon.servers import SERVICES, Apns, RealBroker, Redis
from carillon.processes import free_port
from carillon.waiting import until

pytestmark = pytest.mark.skipif("KAFKA_HOME" not in os.environ, reason="a broker with SASL and TLS: set KAFKA_HOME")

KAFKA_USERS = ("notification-service", "fanout-worker", "push-service")
REDIS_USERS = ("fanout-worker", "gateway", "presence-service", "push-service")
# After its first line a service tries again once a second or so: a second line would come within this.
QUIET = 4


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


# name: (settings, what the one line says)
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
    "plain-text": (lambda door: door.tls(scheme="redis"), r"it speaks TLS, so its URL begins with rediss://|\(a port that speaks TLS wants rediss://\)"),
    "tls-to-plain": (lambda door: door.tls(port=door.redis.port), r"it does not speak TLS|\(does this port speak TLS\?\)"),
    "acl": (lambda door: door.tls("reader:geheim"), "the user may not do that (its ACL) (NOPERM): SET"),
}
ROWS = [("kafka", name, *row, service) for name, row in KAFKA.items() for service in KAFKA_USERS]
ROWS += [("redis", name, *row, service) for name, row in REDIS.items() for service in REDIS_USERS]


def lines(process, dependency):
    return process.lines(f"dependency is (down|up).* dependency={dependency}")


def test_each_mistake_is_one_line_that_says_what_it_is(tmp_path):
    assert {*KAFKA_USERS, *REDIS_USERS} == set(SERVICES)
    door = Door(tmp_path)
    wrong = []
    try:
        door.open()
        # With everything right each of them is let in.
        right = [door.knock(service, "right", door.kafka() | door.tls()) for service in SERVICES]
        for process in right:
            process.wait_ready()
            process.end()
        knocking = [(door.knock(service, name if dependency == "redis" else f"kafka-{name}", settings(door)), dependency, words)
                    for dependency, name, settings, words, service in ROWS]
        for process, dependency, words in knocking:
            until(lambda: lines(process, dependency), what=lambda: f"a line of {process.name}:\n{process.tail()}")
        time.sleep(QUIET)
        for process, dependency, words in knocking:
            said = lines(process, dependency)
            pattern = words if "|" in words else re.escape(words)
            if len(said) != 1 or " warning " not in said[0] or not re.search(pattern, said[0].replace("\\", "")):
                wrong.append(f"{process.name}: {said}, and not {words}\n{process.tail()}")
            elif not process.runs:
                wrong.append(f"{process.name} has ended")
            elif "geheim" in process.output() or "falsch" in process.output():
                wrong.append(f"{process.name} writes a password")
        # What is mended in Redis is found by itself.
        assert door.redis.ask("ACL", "SETUSER", "reader", "+@all", "-@admin", "-@dangerous", "+info") == "OK"
        for service in REDIS_USERS:
            process = next(process for process in door.started if process.name == f"{service}-acl")
            until(lambda: process.lines('"dependency is up again" dependency=redis'), what=lambda: f"{process.name}:\n{process.tail()}")
    finally:
        door.close()
    assert not wrong, "\n".join(wrong)
