"""Waiting for a condition, never for a time."""

import time

from . import standstill


def until(condition, timeout=60, what="the condition", every=0.02):
    """The first true answer of `condition`; AssertionError after `timeout` seconds in which this machine ran. A time-out is
    named only where it says something of what is tested; the usual one is for what hangs. `what` may be a callable."""
    began = time.time()
    while True:
        answer = condition()
        if answer:
            return answer
        if standstill.took(began) >= timeout:
            raise AssertionError(f"not within {timeout} s: {what() if callable(what) else what}")
        time.sleep(every)


def stays(condition, seconds, what="the condition", every=0.1):
    """Holds for as long as `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert condition(), f"no longer: {what() if callable(what) else what}"
        time.sleep(every)
