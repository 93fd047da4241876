"""A broker that makes no topics: what a producer and an operator are told of a type whose topic does not exist."""

import os
import subprocess

import pytest

from carillon import http, kafka
from carillon.cluster import API_KEY, Service
from carillon.processes import ROOT
from carillon.servers import RealBroker, Redis, binaries
from carillon.waiting import until

pytestmark = pytest.mark.skipif("KAFKA_HOME" not in os.environ, reason="a broker with settings of its own: set KAFKA_HOME")


class Site:
    """A broker with `auto.create.topics.enable=false` and the suite's own topics but one, a Redis, and a notification-service."""

    def __init__(self, directory):
        self.directory, self.edge_url = directory, "http://127.0.0.1:1"
        self.broker = RealBroker(os.environ["KAFKA_HOME"], directory, settings=["auto.create.topics.enable=false"])
        self.redis, self.service = Redis(directory), None
        self.redis_url = self.redis.url

    def open(self):
        self.redis.start()
        self.broker.start()
        environment = os.environ | {"KAFKA_BROKERS": self.broker.address}
        subprocess.run([binaries() / "carillon-local", "topics"], check=True, capture_output=True, env=environment)
        self.topics("--delete", "--topic", "events.social")
        until(lambda: "events.social" not in self.topics("--list").split(), what="the topic is gone")
        self.service = Service(self, "notification-service", "notification-service")
        self.service.start()
        return self

    def close(self):
        for process in filter(None, (self.service, self.redis, self.broker)):
            process.end()

    def topics(self, *arguments):
        return subprocess.run([self.broker.home / "bin/kafka-topics.sh", "--bootstrap-server", self.broker.address, *arguments],
                              check=True, capture_output=True, text=True, timeout=120).stdout

    def post(self, type):
        return http.request("POST", self.service.url + "/v1/events", kafka.event(type, {"user": "bob"}),
                            {"X-API-Key": API_KEY, "Content-Type": "application/cloudevents+json"}, timeout=60)

    def doctor(self):
        environment = {"KAFKA_BROKERS": self.broker.address, "REDIS_URL": self.redis_url, "POLICIES": ROOT / "deploy/policies.yaml",
                       "PATH": os.environ["PATH"]}
        return subprocess.run([binaries() / "carillonctl", "doctor", "--no-edge"], capture_output=True, text=True, timeout=120,
                              env={name: str(value) for name, value in environment.items()}).stdout


def test_a_type_without_a_topic_is_told_by_the_topics_name(tmp_path):
    site = Site(tmp_path)
    try:
        site.open()
        answer = site.post("social.like")
        assert answer.status == 404 and answer.problem == "unknown_topic", answer
        assert "events.social" in answer.json()["detail"], answer
        assert len(site.service.lines("its topic does not exist.* topic=events.social")) == 1, site.service.tail()
        assert site.post("message.direct").status == 202
        told = [line for line in site.doctor().splitlines() if line.startswith("fail") and "topics of policies" in line]
        assert len(told) == 1 and "the broker makes none" in told[0] and "events.social" in told[0], site.doctor()
        # What the doctor says to do, done as it stands there.
        line = told[0].partition("; ")[2].partition(", or ")[0].split()
        assert line[0] == "kafka-topics.sh", line
        subprocess.run([site.broker.home / "bin" / line[0], *line[1:]], check=True, capture_output=True, timeout=120)
        until(lambda: site.post("social.like").status == 202, what="the topic is found without a restart")
        assert [line for line in site.doctor().splitlines() if line.startswith("ok ") and "topics of policies" in line]
    finally:
        site.close()
