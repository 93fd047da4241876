"""SDKs whose token is revoked under them."""

import time

from carillon import http, kafka, standstill
from carillon.waiting import until
from sdks import count, publications


def send(cluster, person, *titles):
    kafka.produce(cluster.broker.address, "events.conformance",
                  [kafka.event("message.direct", {"user": person}, title=title) for title in titles])


def revoke(cluster, **what):
    answer = http.request("POST", cluster.edge_url + "/v1/revocations", what, cluster.key)
    assert answer.status == 200, answer


def test_a_revoked_token_ends_it_for_good_within_a_second(cluster, sdk, person):
    bob = person("bob")
    url = f"{cluster.edge_url.replace('http', 'ws', 1)}/connection/websocket?u={bob}"
    clients = {name: sdk(url, cluster.token(bob, jti=f"{bob}-{name}")) for name in ("lost", "kept")}
    try:
        for client in clients.values():
            until(lambda: ("connected",) in client.events, what=lambda: client.events)
        began = time.time()
        revoke(cluster, jti=f"{bob}-lost")
        until(lambda: count(clients["lost"], "disconnected") == 1, what=lambda: clients["lost"].events)
        assert standstill.took(began) < 1.5
        assert [event[1] for event in clients["lost"].events if event[0] == "disconnected"] == [3500]
        send(cluster, bob, "to the other")
        until(lambda: publications(clients["kept"]) == ["to the other"], what=lambda: clients["kept"].events)
        assert publications(clients["lost"]) == [] and count(clients["lost"], "connected") == 1
        again = sdk(url, cluster.token(bob, jti=f"{bob}-lost"))
        clients["again"] = again
        until(lambda: any(event[:2] == ("disconnected", 3500) for event in again.events), what=lambda: again.events)
        revoke(cluster, person=bob)
        until(lambda: any(event[:2] == ("disconnected", 3500) for event in clients["kept"].events), what=lambda: clients["kept"].events)
    finally:
        for client in clients.values():
            client.close()
