"""Waiting for a condition, never for a time."""

import time


def until(condition, timeout=30, what="the condition", every=0.02):
    """The first true answer of `condition`; AssertionError after `timeout` seconds. `what` may be a callable."""
    deadline = time.monotonic() + timeout
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {timeout} s: {what() if callable(what) else what}")
        time.sleep(every)


def stays(condition, seconds, what="the condition", every=0.1):
    """Holds for as long as `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert condition(), f"no longer: {what() if callable(what) else what}"
        time.sleep(every)
