"""A short story played on a running cluster, for a person at a terminal: `make demo`. What it tells, it has checked; it
exits 0 if all of it was true, else 1."""

import os
import signal
import sys
import time
import urllib.parse

from client import KEY, Browser, environment, event, kcat, metric, post, request, until

COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ
PUSHES = "APNS_RECEIVED_URL"


def paint(code, text):
    return f"\033[{code}m{text}\033[0m" if COLOUR else text


def chapter(number, title):
    print(f"\n{paint('1', f'{number}. {title}')}", flush=True)


def tell(text):
    print(f"   {text}", flush=True)


def held(text):
    print(f"   {paint('32', '✓')} {text}", flush=True)


def milliseconds(since, browser, title):
    at = until(lambda: next((at for at, one in list(browser.arrived) if one["title"] == title), None), f"{title!r} at {browser.person}")
    return round((at - since) * 1000)


def warm_up(person):
    """Until an event goes the whole way: after a start the consumer groups take some seconds to form."""
    browser = Browser(person)

    def arrived():
        post(event("message.direct", {"user": person}, "Demo", "warm-up", ""))
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline and not browser.arrived:
            time.sleep(0.02)
        return browser.arrived
    until(arrived, "an event going through the whole suite", 90)
    browser.leave()


def direct_message(bob):
    chapter(1, "A direct message, over HTTP")
    tell("Alice writes to Bob: POST /v1/events, type message.direct.")
    sent = time.monotonic()
    post(event("message.direct", {"user": bob.person}, "Alice", "Alice: lunch?", "At one, the usual place"))
    held(f"Bob's browser shows it {milliseconds(sent, bob, 'Alice: lunch?')} ms later.")


def mention(bob):
    chapter(2, "A mention, straight to Kafka")
    tell("A service of yours writes a CloudEvent to the topic events.social with kcat.")
    sent = time.monotonic()
    kcat("events.social", bob.person, event("social.mention", {"user": bob.person}, "Carol", "Carol mentioned you", "@bob, see this"))
    held(f"Bob has it {milliseconds(sent, bob, 'Carol mentioned you')} ms after kcat was started.")


def channel_post(alice, bob, carol):
    chapter(3, "A post in a channel")
    name = "general-" + bob.person
    path = "/v1/audiences/" + urllib.parse.quote("channel:" + name, safe="") + "/members"
    status, answer = request("PUT", path, {"members": [alice.person, bob.person, carol.person]})
    assert status == 200 and answer["count"] == 3, answer
    tell("Alice, Bob and Carol are members of #general. Alice posts.")
    post_event = event("channel.post", {"channel": name}, "Alice", "Alice in #general", "We are live")
    post_event["data"]["actor"]["id"] = alice.person
    sent = time.monotonic()
    post(post_event)
    took = [milliseconds(sent, reader, "Alice in #general") for reader in (bob, carol)]
    held(f"Bob has it after {took[0]} ms, Carol after {took[1]} ms.")
    assert "Alice in #general" not in alice.titles, "Alice was notified of her own post"
    held("Alice is not told of what she did herself.")


def offline(dave):
    chapter(4, "A phone, while nobody is online")
    device = os.urandom(32).hex()
    status, answer = request("PUT", "/v1/devices", {"token": device, "platform": "apns", "app": "app.carillon.demo",
                                                    "environment": "sandbox"}, person=dave)
    assert status in (200, 201, 204), f"/v1/devices answered {status}: {answer}"
    tell("Dave's app has registered his phone; now it is closed. Alice writes to him.")
    sent = time.monotonic()
    post(event("message.direct", {"user": dave}, "Alice", "Alice: are you there?", "Call me"))
    received = environment()[PUSHES] + "?token=" + device
    pushes = until(lambda: request("GET", received)[1], "the push at Dave's phone")
    alert = pushes[0]["payload"]["aps"]["alert"]
    title = alert["title"] if isinstance(alert, dict) else alert
    held(f"His phone rings after {round((time.monotonic() - sent) * 1000)} ms: {title!r}.")
    assert len(pushes) == 1 and pushes[0]["status"] == 200, pushes
    _, inbox = request("GET", "/v1/inbox", person=dave)
    assert [one["title"] for one in inbox["notifications"]] == ["Alice: are you there?"], inbox
    held(f"When he opens the app, the message waits in his inbox ({inbox['unread']} unread).")


def gateway_of_whoever_is_left():
    """(number, pid) of the gateway that holds the one event stream there is; None while there are others."""
    running = environment()
    streams = [metric(url, 'carillon_gateway_connections{transport="sse"}') for url in running["OPERATIONS_GATEWAY"].split()]
    pids = running["GATEWAY_PIDS"].split()
    if sum(streams) != 1 or len(pids) != len(streams):
        return None
    place = streams.index(1)
    return place + 1, int(pids[place])


def killed_gateway(bob, others, count=40):
    chapter(5, "A gateway dies in the middle")
    for browser in others:
        browser.leave()
    which, pid = until(gateway_of_whoever_is_left, "the gateway that holds Bob's stream")
    before, connections = len(bob.arrived), bob.connections
    titles = [f"Message {number}" for number in range(1, count + 1)]
    tell(f"Only Bob is left. He gets {count} messages, one every 50 ms. After a third of them his gateway gets SIGKILL.")
    for number, title in enumerate(titles):
        post(event("message.direct", {"user": bob.person}, "Alice", title, ""))
        if number == count // 3:
            os.kill(pid, signal.SIGKILL)
            tell(f"Killed: gateway-{which}, pid {pid}. {len(bob.arrived) - before} had arrived. The messages go on.")
        time.sleep(0.05)
    until(lambda: len(bob.arrived) >= before + count, f"all {count} messages at Bob")
    time.sleep(0.5)
    assert bob.titles[before:] == titles, f"out of order, lost or doubled: {bob.titles[before:]}"
    assert bob.connections > connections, "Bob's connection did not break"
    held("Bob's browser came back by itself, with the id it saw last.")
    held(f"He has all {count}, each once, in order.")


def main():
    print(paint("1", "\nA short story on a running Carillon"))
    tell(f"Edge {environment()['EDGE_URL']}, API key {KEY}. Waiting for the first event to go all the way …")
    name = os.urandom(3).hex()
    warm_up("warm-up-" + name)
    alice, bob, carol = (Browser(f"{person}-{name}") for person in ("alice", "bob", "carol"))
    tell("Alice, Bob and Carol have their browsers open: an EventSource each, at the edge.")
    direct_message(bob)
    mention(bob)
    channel_post(alice, bob, carol)
    offline("dave-" + name)
    killed_gateway(bob, (alice, carol))
    print(paint("32", "\nAll of it held.\n"), flush=True)
    bob.leave()


if __name__ == "__main__":
    try:
        main()
    except (AssertionError, OSError) as failure:
        print(f"   {paint('31', '✗')} {failure}\n", flush=True)
        sys.exit(1)
