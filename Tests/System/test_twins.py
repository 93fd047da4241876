"""Two instances of one INSTANCE_ID fence each other: the log says so, as an error that names the setting."""

import os

import pytest

from carillon import kafka
from carillon.waiting import until

pytestmark = pytest.mark.skipif("KAFKA_HOME" not in os.environ, reason="the mock cluster fences nobody; set KAFKA_HOME")


def test_two_instances_of_one_name(cluster):
    space = {"NAMESPACE": "twins", "INSTANCE_ID": "twin"}
    twins = []
    try:
        for name in ("twin-one", "twin-two"):
            twins.append(cluster.extra("notification-service", name, space))

        def told():
            cluster.produce(kafka.event("message.direct", {"user": "bob"}), "twins.events.direct", key=kafka.identity())
            return any(twin.lines("error .*twins.carillon-notification-service-twin.*INSTANCE_ID") for twin in twins)
        until(told, 120, lambda: "\n".join(twin.tail() for twin in twins), every=0.2)
    finally:
        for twin in twins:
            twin.end()
