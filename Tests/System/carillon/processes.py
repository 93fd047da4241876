"""Processes of the suite: started with a log file, stopped, killed, started again."""

import os
import pathlib
import re
import signal
import socket
import subprocess
import time

from . import standstill
from .waiting import until

ROOT = pathlib.Path(__file__).resolve().parents[3]
CLAIMS = []


def free_port():
    """A port that nothing listens on, outside the range that the kernel gives to outgoing connections, and that no other run of
    the tests has chosen: what it is for may begin to listen much later."""
    import random
    while True:
        port = random.randint(20000, 32000)
        with socket.socket() as attempt:
            attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                attempt.bind(("127.0.0.1", port))
            except OSError:
                continue
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0carillon-test-port-{port}")  # goes with this process
        except OSError:
            claim.close()
            continue
        CLAIMS.append(claim)
        return port


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
        return True
    except OSError:
        return False


class Process:
    """A program with the arguments and the environment that it gets each time it is started."""

    def __init__(self, name, command, directory, environment=None, ready=None, limits=None):
        self.name, self.command, self.environment = name, [str(part) for part in command], environment or {}
        self.log = pathlib.Path(directory) / f"{name}.log"
        self.ready, self.limits, self.process = ready, limits, None
        self.began_at = 0  # where in the log the present run begins

    def start(self, wait=True, timeout=120):
        assert self.process is None or self.process.poll() is not None, f"{self.name} runs already"
        self.began_at = self.log.stat().st_size if self.log.exists() else 0
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                env={**os.environ, **{name: str(value) for name, value in self.environment.items()}},
                preexec_fn=self.limits, start_new_session=True)
        if wait:
            self.wait_ready(timeout)
        return self

    def wait_ready(self, timeout=120):
        def is_ready():
            assert self.process.poll() is None, f"{self.name} ended with {self.process.returncode}:\n{self.tail()}"
            return self.ready is None or self.ready()
        until(is_ready, timeout, lambda: f"{self.name} ready:\n{self.tail()}")

    @property
    def pid(self):
        return self.process.pid

    @property
    def runs(self):
        return self.process is not None and self.process.poll() is None

    def send(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.send(signal.SIGKILL)
        self.process.wait(60)

    def terminate(self, timeout=27):
        """SIGTERM; the exit status. AssertionError if it takes longer than a drain may."""
        if not self.runs:
            return self.process.returncode if self.process else None
        began = time.time()
        self.send(signal.SIGTERM)
        while standstill.took(began) < timeout:
            try:
                return self.process.wait(0.2)
            except subprocess.TimeoutExpired:
                pass
        self.end()
        raise AssertionError(f"{self.name} did not end within {timeout} s of SIGTERM:\n{self.tail()}")

    def end(self):
        """Whatever it was started as, and what it started."""
        if self.process is None:
            return
        for number in (signal.SIGCONT, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, number)
            except (ProcessLookupError, PermissionError):
                pass
        self.process.wait(60)

    def output(self, this_run=False):
        if not self.log.exists():
            return ""
        with open(self.log, "rb") as log:
            log.seek(self.began_at if this_run else 0)
            return log.read().decode(errors="replace")

    def lines(self, pattern, this_run=False):
        return [line for line in self.output(this_run).splitlines() if re.search(pattern, line)]

    def tail(self, count=25):
        return "\n".join(self.output().splitlines()[-count:])
