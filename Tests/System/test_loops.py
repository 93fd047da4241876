"""A gateway of two loops among the others: to them it is two gateways, in life and in death."""

from carillon import kafka
from carillon.clients import Refused
from carillon.waiting import until


def connect(cluster, gateway, person):
    """Once the loop that the kernel chooses hears Redis."""
    def attempt():
        try:
            return cluster.websocket(person, gateway=gateway)
        except Refused:
            return None
    return until(attempt, what=f"{person} is let in")


def test_a_killed_gateway_of_two_loops(cluster, person):
    gateway = cluster.extra("gateway", "gateway-loops", {"GATEWAY_LOOPS": 2})
    people = [person(str(number)) for number in range(16)]
    clients = [connect(cluster, gateway, name) for name in people]
    try:
        instances = [name for name in cluster.redis.ask("HKEYS", "gateways") if name.startswith("gateway-loops")]
        assert sorted(name.partition("#")[0] for name in instances) == ["gateway-loops", "gateway-loops.2"]
        cluster.produce(kafka.event("message.direct", {"users": people}, title="to both loops"))
        for client in clients:
            client.wait_title("to both loops")
        assert gateway.metrics()["carillon_gateway_batches_total"] >= 2, "one for each loop"
        # Whoever was asked to come back may not have gone yet.
        until(lambda: gateway.metrics()['carillon_gateway_connections{transport="websocket"}'] == len(people), what="those connected")
        assert all(entry["online"] for entry in cluster.online(*people))
        gateway.kill()
        until(lambda: not any(entry["online"] for entry in cluster.online(*people)), what="both are swept")
        gateway.start()
        again = connect(cluster, gateway, people[0])
        assert again.recovered is False
        again.close()
    finally:
        for client in clients:
            client.close()
        gateway.end()
