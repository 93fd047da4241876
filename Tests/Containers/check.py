"""Builds the images, runs docker-compose.yml under a project of its own, and checks what it promises: `make containers`.
Needs an engine and `docker compose` (or docker-compose 1.29). Prints what it found; exits 0 if all held, else 1."""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROJECT = "carillon-check"
DOCKER = os.environ.get("DOCKER", "docker")


def free_port():
    with socket.socket() as attempt:
        attempt.bind(("127.0.0.1", 0))
        return str(attempt.getsockname()[1])


PORTS = {"EDGE_PORT": free_port(), "KAFKA_PORT": free_port()}
os.environ.update(PORTS, EDGE_URL="http://localhost:" + PORTS["EDGE_PORT"], CLUSTER_ENV=os.devnull,
                  TOKEN_SECRET="carillon-demo-token-secret-0000000", API_KEY="carillon-demo-key")
sys.path.insert(0, str(ROOT / "Tests/Demo"))
from client import Browser, event, post, request, until  # noqa: E402 (it reads the environment)

RUN = os.urandom(3).hex()


def run(*words, input=None, check=True):
    done = subprocess.run(words, cwd=ROOT, input=input, capture_output=True, text=True)
    assert not check or done.returncode == 0, f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


def compose(*words, check=True):
    plugin = subprocess.run([DOCKER, "compose", "version"], capture_output=True).returncode == 0
    tool = [DOCKER, "compose"] if plugin else [shutil.which("docker-compose") or "docker-compose"]
    return run(*tool, "-p", PROJECT, *words, check=check)


def up(gateways):
    compose("up", "-d", "--no-recreate", "--scale", f"gateway={gateways}", "--scale", "fanout-worker=2")


def containers(service, *options):
    return run(DOCKER, "ps", *options, "--filter", f"label=com.docker.compose.project={PROJECT}",
               "--filter", f"label=com.docker.compose.service={service}", "--format", "{{.Names}}").split()


def address(container):
    return run(DOCKER, "inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", container).strip()


def connections(gateway):
    script = r"exec 3<>/dev/tcp/127.0.0.1/9000; printf 'GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n' >&3; cat <&3"
    lines = run(DOCKER, "exec", gateway, "bash", "-c", script, check=False).splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("carillon_gateway_connections"))


def held(text):
    print(f"  ✓ {text}", flush=True)


def takes_connections(gateway, name):
    """Seconds until a gateway that the edge did not know has a connection; new people come all the time."""
    began, readers = time.monotonic(), []

    def found():
        try:
            readers.append(Browser(f"{name}-{len(readers)}-{RUN}"))
        except AssertionError:
            return False
        return connections(gateway) > 0
    until(found, 10, f"a connection at {gateway}")
    for reader in readers:
        reader.leave()
    return time.monotonic() - began


def start():
    began = time.monotonic()
    up(3)
    held(f"docker compose up --scale gateway=3 --scale fanout-worker=2: all started after {time.monotonic() - began:.0f} s")
    for service in ("gateway", "notification-service", "fanout-worker", "presence-service", "push-service", "apns"):
        until(lambda: len(containers(service, "--filter", "health=healthy")) == len(containers(service)) > 0, 60, f"{service} healthy")
        assert run(DOCKER, "exec", containers(service)[0], "id", "-u").strip() != "0", f"{service} runs as root"
    held("all healthy, none of ours as root")


def deliver(bob):
    produced = event("social.mention", {"user": bob.person}, "Alice", "from the Kafka container", "")
    run(DOCKER, "exec", "-i", containers("kafka")[0], "/opt/kafka/bin/kafka-console-producer.sh", "--bootstrap-server",
        "localhost:9092", "--topic", "events.social", input=json.dumps(produced) + "\n")
    until(lambda: bob.titles == ["from the Kafka container"], 20, "the event from kafka-console-producer.sh")
    held("an event from kafka-console-producer.sh inside the Kafka container arrives")
    post(event("message.direct", {"user": bob.person}, "Alice", "over HTTP", ""))
    until(lambda: bob.titles[1:] == ["over HTTP"], 10, "the event over HTTP")
    device = os.urandom(32).hex()
    request("PUT", "/v1/devices", {"token": device, "platform": "apns", "app": "app.carillon.demo", "environment": "sandbox"},
            person="dave-" + RUN)
    post(event("message.direct", {"user": "dave-" + RUN}, "Alice", "to a phone", ""))
    until(lambda: request("GET", "/demo/received?token=" + device)[1], 15, "the push at the stand-in")
    held("events over HTTP arrive; who is offline gets a push")


def scale():
    before = set(containers("gateway"))
    up(4)
    newcomer, = set(containers("gateway")) - before
    held(f"scaled while running: the new gateway has a connection after {takes_connections(newcomer, 'scaled'):.1f} s")
    victim = sorted(before)[0]
    old = address(victim)
    network = next(iter(json.loads(run(DOCKER, "inspect", victim))[0]["NetworkSettings"]["Networks"]))
    before = set(containers("gateway"))
    run(DOCKER, "rm", "-f", victim)
    # Something else takes its address, so that it comes back at another one.
    holder = run(DOCKER, "run", "-d", "--rm", "--network", network, "--entrypoint", "sleep", "carillon:local", "120").strip()
    try:
        up(4)
        again, = set(containers("gateway")) - (before - {victim})
        assert address(again) != old, "it came back at its old address"
        held(f"recreated at another address: it has a connection after {takes_connections(again, 'recreated'):.1f} s")
    finally:
        run(DOCKER, "rm", "-f", holder)


def stop_and_start(bob):
    began = time.monotonic()
    compose("stop")
    took = time.monotonic() - began
    assert took < 60, f"the stop took {took:.0f} s"
    for service in ("gateway", "notification-service", "fanout-worker", "presence-service", "push-service"):
        for container in containers(service, "-a"):
            code = run(DOCKER, "inspect", "-f", "{{.State.ExitCode}}", container).strip()
            assert code == "0", f"{container} ended with {code}"
    held(f"docker compose stop: drained, every service with status 0, after {took:.0f} s")
    up(4)

    def stored():
        status, inbox = request("GET", "/v1/inbox", person=bob.person)
        return status == 200 and [one["title"] for one in inbox["notifications"]] == ["from the Kafka container", "over HTTP"]
    until(stored, 60, "Bob's inbox after the start")
    post(event("message.direct", {"user": bob.person}, "Alice", "after the start", ""))
    until(lambda: bob.titles[2:] == ["after the start"], 60, "an event after the start")
    held("started again on its volumes: the inbox is there, Bob's browser came back, and the next event arrives")


def main():
    began = time.monotonic()
    try:
        if "--no-build" not in sys.argv:
            compose("build")
            held(f"the images are built, after {time.monotonic() - began:.0f} s")
        start()
        bob = Browser("bob-" + RUN)
        deliver(bob)
        scale()
        stop_and_start(bob)
        print("All of it held.", flush=True)
        return 0
    except (AssertionError, OSError) as failure:
        print(f"  ✗ {failure}", flush=True)
        print(compose("logs", "--tail=15", check=False)[-6000:], flush=True)
        return 1
    finally:
        compose("down", "-v", check=False)


if __name__ == "__main__":
    sys.exit(main())
