"""Builds the images, runs docker-compose.yml under a project of its own, and checks what it promises: `make containers`.
Needs an engine and `docker compose` (or docker-compose 1.29). Prints what it found; exits 0 if all held, else 1."""

import functools
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
SERVICES = ("gateway", "notification-service", "fanout-worker", "presence-service", "push-service")


def free_port():
    with socket.socket() as attempt:
        attempt.bind(("127.0.0.1", 0))
        return str(attempt.getsockname()[1])


PORTS = {"EDGE_PORT": free_port(), "EDGE_TLS_PORT": free_port(), "KAFKA_PORT": free_port()}
os.environ.update(PORTS, EDGE_URL="http://localhost:" + PORTS["EDGE_PORT"], CLUSTER_ENV=os.devnull,
                  TOKEN_SECRET="carillon-demo-token-secret-0000000", API_KEY="carillon-demo-key")
sys.path.insert(0, str(ROOT / "Tests/Demo"))
from client import Browser, event, post, request, until  # noqa: E402 (it reads the environment)

RUN = os.urandom(3).hex()


def run(*words, input=None, check=True):
    done = subprocess.run(words, cwd=ROOT, input=input, capture_output=True, text=True)
    assert not check or done.returncode == 0, f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


@functools.cache
def tool():
    plugin = subprocess.run([DOCKER, "compose", "version"], capture_output=True).returncode == 0
    return [DOCKER, "compose"] if plugin else [shutil.which("docker-compose") or "docker-compose"]


def has_loopback_6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        return True
    except OSError:
        return False


# What is read behind docker-compose.yml.
FILES = ["deploy/compose.ipv6.yml"] if has_loopback_6() else []


def composed(*words):
    return [*tool(), "-p", PROJECT, *(part for file in ["docker-compose.yml", *FILES] for part in ("-f", file)), *words]


def compose(*words, check=True):
    return run(*composed(*words), check=check)


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
    until(found, f"a connection at {gateway}", 10)
    for reader in readers:
        reader.leave()
    return time.monotonic() - began


def start():
    began = time.monotonic()
    up(3)
    held(f"docker compose up --scale gateway=3 --scale fanout-worker=2: all started after {time.monotonic() - began:.0f} s")
    for service in (*SERVICES, "apns", "edge", "redis", "kafka"):
        until(lambda: len(containers(service, "--filter", "health=healthy")) == len(containers(service)) > 0, f"{service} healthy", 60)
    held("all healthy, the edge too")


def inspected(service):
    return json.loads(run(DOCKER, "inspect", containers(service)[0]))[0]


def confined():
    for service in (*SERVICES, "apns", "edge", "redis", "kafka"):
        host = inspected(service)["HostConfig"]
        assert host["ReadonlyRootfs"] and host["CapDrop"] == ["ALL"] and not host["CapAdd"] and host["Memory"] > 0, f"{service}: {host}"
        assert "no-new-privileges:true" in host["SecurityOpt"], f"{service} may get new privileges"
        if service != "edge":  # its image decides
            assert run(DOCKER, "exec", containers(service)[0], "id", "-u").strip() != "0", f"{service} runs as root"
        for bindings in (host["PortBindings"] or {}).values():
            assert {binding["HostIp"] for binding in bindings} <= {"127.0.0.1", "::1"}, f"{service} is published beyond this machine"
    if FILES:
        with socket.create_connection(("::1", int(PORTS["EDGE_PORT"])), 10) as edge:
            edge.sendall(b"GET /edge/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert b" 200 " in edge.recv(4096), "no answer on ::1"
        held("the edge answers on ::1 as well")
    held("read-only, without capabilities, with a limit of memory, not as root; published on loopback only")
    for secret, readers in (("TOKEN_SECRET", {"gateway", "push-service"}),
                            ("API_KEY", {"gateway", "notification-service", "fanout-worker", "presence-service"})):
        told = {service for service in (*SERVICES, "apns", "edge", "redis", "kafka")
                if any(line.startswith(secret + "=") for line in inspected(service)["Config"]["Env"])}
        assert told == readers, f"{secret} is told to {sorted(told)}"
    held("each secret reaches only the services that check it")


def operate():
    doctor = compose("exec", "-T", "gateway", "carillonctl", "doctor", check=False)
    code = subprocess.run(composed("exec", "-T", "gateway", "carillonctl", "doctor"), cwd=ROOT, capture_output=True).returncode
    assert code == 0, f"the doctor finds fault:\n{doctor}"
    token = compose("exec", "-T", "gateway", "carillonctl", "token", "--user", "bob-" + RUN).strip()
    assert token.count(".") == 2, token
    held("carillonctl inside the gateway's container: doctor finds no fault, and a token is signed")
    size = int(run(DOCKER, "image", "inspect", "-f", "{{.Size}}", "carillon:local")) / 1e6
    base = int(run(DOCKER, "image", "inspect", "-f", "{{.Size}}", "debian:bookworm-slim")) / 1e6
    assert size - base < 260, f"the image is {size:.0f} MB on a base of {base:.0f}"
    held(f"the image is {size:.0f} MB, {size - base:.0f} of them on top of its base")


def deliver(bob):
    produced = event("social.mention", {"user": bob.person}, "Alice", "from the Kafka container", "")
    run(DOCKER, "exec", "-i", containers("kafka")[0], "/opt/kafka/bin/kafka-console-producer.sh", "--bootstrap-server",
        "localhost:9092", "--topic", "events.social", input=json.dumps(produced) + "\n")
    until(lambda: bob.titles == ["from the Kafka container"], "the event from kafka-console-producer.sh", 20)
    held("an event from kafka-console-producer.sh inside the Kafka container arrives")
    post(event("message.direct", {"user": bob.person}, "Alice", "over HTTP", ""))
    until(lambda: bob.titles[1:] == ["over HTTP"], "the event over HTTP", 10)
    device = os.urandom(32).hex()
    request("PUT", "/v1/devices", {"token": device, "platform": "apns", "app": "app.carillon.demo", "environment": "sandbox"},
            person="dave-" + RUN)
    post(event("message.direct", {"user": "dave-" + RUN}, "Alice", "to a phone", ""))
    until(lambda: request("GET", "/demo/received?token=" + device)[1], "the push at the stand-in", 15)
    held("events over HTTP arrive; who is offline gets a push")


def follow():
    """`carillonctl tail` in the gateway's container, begun before the person has a connection and ended by what arrives."""
    person = "erin-" + RUN
    tail = subprocess.Popen(composed("exec", "-T", "gateway", "carillonctl", "tail", "--user", person, "--count", "1"), cwd=ROOT,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        for line in tail.stderr:
            if "connected to " in line:
                break
        post(event("message.direct", {"user": person}, "Alice", "for the tail", ""))
        shown, _ = tail.communicate(timeout=30)
        assert tail.returncode == 0 and "for the tail" in shown, f"tail ended with {tail.returncode}: {shown}"
    except subprocess.TimeoutExpired:
        raise AssertionError("carillonctl tail does not end") from None
    finally:
        tail.kill()
    held("carillonctl tail inside the gateway's container shows what arrives, and ends")


def hide():
    """The secrets in files: the services are made again with them, and nobody's environment says one."""
    folder = ROOT / "deploy/secrets"
    names = ("token-secret", "api-key", "redis-password", "redis-url")
    assert not any((folder / name).exists() for name in names), f"{folder} holds secrets already: this check would write its own"
    FILES.append("deploy/compose.secrets.yml")
    try:
        secrets = {name: os.urandom(32).hex() for name in names[:3]}
        secrets["redis-url"] = f"redis://default:{secrets['redis-password']}@redis:6379"
        for name, text in secrets.items():
            (folder / name).write_text(text + "\n")
            (folder / name).chmod(0o444)
        compose("up", "-d", "--scale", "gateway=1", "--scale", "fanout-worker=1")
        for service in (*SERVICES, "redis"):
            until(lambda: len(containers(service, "--filter", "health=healthy")) == len(containers(service)) > 0, f"{service} healthy", 90)
        for service in (*SERVICES, "redis"):
            said = json.dumps([inspected(service)["Config"][part] for part in ("Env", "Cmd")])
            assert not any(text in said for text in secrets.values()), f"{service}'s configuration says a secret"
            mounted = {mount["Destination"] for mount in inspected(service)["Mounts"] if mount["Destination"].startswith("/run/secrets/")}
            assert mounted, f"{service} has no secret"
        # By its name: the one that is left of several need not be the first, which is the one that `compose exec` looks for.
        doctor = subprocess.run([DOCKER, "exec", containers("gateway")[0], "carillonctl", "doctor"], capture_output=True, text=True)
        assert doctor.returncode == 0, f"with secrets in files the doctor finds fault:\n{doctor.stdout}{doctor.stderr}"
        held("with deploy/compose.secrets.yml: secrets in files, in nobody's environment, and the doctor finds no fault")
    finally:
        FILES.pop()
        for name in names:
            (folder / name).unlink(missing_ok=True)


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
    for service in SERVICES:
        for container in containers(service, "-a"):
            code = run(DOCKER, "inspect", "-f", "{{.State.ExitCode}}", container).strip()
            assert code == "0", f"{container} ended with {code}"
    held(f"docker compose stop: drained, every service with status 0, after {took:.0f} s")
    up(4)

    def stored():
        status, inbox = request("GET", "/v1/inbox", person=bob.person)
        return status == 200 and [one["title"] for one in inbox["notifications"]] == ["from the Kafka container", "over HTTP"]
    until(stored, "Bob's inbox after the start", 60)
    post(event("message.direct", {"user": bob.person}, "Alice", "after the start", ""))
    until(lambda: bob.titles[2:] == ["after the start"], "an event after the start", 60)
    held("started again on its volumes: the inbox is there, Bob's browser came back, and the next event arrives")


def main():
    began = time.monotonic()
    try:
        if "--no-build" not in sys.argv:
            compose("build")
            held(f"the images are built, after {time.monotonic() - began:.0f} s")
        start()
        confined()
        operate()
        bob = Browser("bob-" + RUN)
        deliver(bob)
        follow()
        scale()
        stop_and_start(bob)
        bob.leave()
        hide()
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
