"""Events as the official Python SDK of CloudEvents writes them, by HTTP and by Kafka, in both modes."""

import json

import pytest
from cloudevents.core.bindings import http as http_binding
from cloudevents.core.bindings import kafka as kafka_binding
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from carillon import http, kafka


def event(person, title, **attributes):
    attributes = {"type": "message.direct", "source": "/my source", "id": f"café 100% \"{kafka.identity()}\""} | attributes
    return CloudEvent(attributes, {"audience": {"user": person}, "title": title})


def post(cluster, message):
    return http.request("POST", cluster.edge_url + "/v1/events", message.body, cluster.key | dict(message.headers))


def produce(cluster, message, person):
    headers = [part for name, value in message.headers.items() for part in (b"-H", name.encode() + b"=" + value)]
    kafka.kcat(cluster.broker.address, "-P", "-t", "events.system-tests", "-k", person, *headers, input=message.value)


def test_one_event_in_every_form_is_shown_once(cluster, person):
    bob = person("bob")
    one, last = event(bob, "one"), event(bob, "behind them")
    with cluster.websocket(bob) as client:
        answers = [post(cluster, form(one, JSONFormat())) for form in (http_binding.to_binary, http_binding.to_structured)]
        for form in (kafka_binding.to_binary, kafka_binding.to_structured):
            produce(cluster, form(one, JSONFormat()), bob)
        produce(cluster, kafka_binding.to_binary(last, JSONFormat()), bob)
        client.wait_title("behind them")
        assert sorted(client.titles) == ["behind them", "one"]
        shown = next(frame.notification for frame in client.frames if frame.notification["title"] == "one")
    assert [answer.status for answer in answers] == [202, 202]
    assert [answer.json() for answer in answers] == [{"id": shown["id"], "warnings": []}] * 2


@pytest.mark.parametrize("identity", ["caf\xe9", "caf\xe8", "caf%E9"])
def test_an_id_that_is_no_text_is_refused(cluster, person, identity):
    """Taken as text, two of them would be one event."""
    message = http_binding.to_binary(event(person(), "lost?"), JSONFormat())
    answer = post(cluster, http_binding.HTTPMessage({**message.headers, "ce-id": identity}, message.body))
    assert answer.status == 400 and answer.problem == "not_cloudevents" and answer.json()["detail"].startswith("ce-id ")


def test_a_format_that_is_not_read_says_so(cluster, person):
    body = json.dumps([kafka.event("message.direct", {"user": person()})]).encode()
    for headers in ({"Content-Type": "application/cloudevents-batch+json"}, {"Content-Type": "application/json", "Content-Encoding": "gzip"}):
        answer = http.request("POST", cluster.edge_url + "/v1/events", body, cluster.key | headers)
        assert answer.status == 415 and answer.problem == "unsupported_media_type"
        # The type of a problem is an address that answers, through the edge too.
        kind = answer.json()["type"]
        assert kind.startswith(cluster.edge_url + "/problems#")
        page = http.request("GET", kind)
        assert page.status == 200 and b'id="unsupported_media_type"' in page.body
