"""The seed of what is random in a run: `TEST_SEED`, which replays it, or another for each run."""

import os
import random

SEED = int(os.environ.get("TEST_SEED") or random.SystemRandom().randrange(1_000_000))


def chance(name):
    """A generator that follows from the run's seed, one for each name."""
    return random.Random(f"{SEED} {name}")
