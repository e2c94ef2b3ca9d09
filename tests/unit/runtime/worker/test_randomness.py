"""Which random numbers a forked process may share with others."""

import random
import subprocess
import sys

import numpy as np
import pytest

from crew_runtime.worker import randomness


@pytest.mark.parametrize("make", [random.Random, np.random.default_rng, np.random.RandomState])
def test_a_generator_that_was_made_is_seen(make):
    before = randomness.generators()
    made = make()
    assert type(made).__name__ in randomness.made_since(before)


def test_a_generator_that_was_there_and_one_without_a_state_are_not():
    made = random.Random()
    before = randomness.generators()
    system = random.SystemRandom()
    assert randomness.made_since(before) == ""
    del made, system


def test_numpys_own_is_none_that_an_import_made():
    text = """
from crew_runtime.worker import randomness
before = randomness.generators()
import numpy.random
print(repr(randomness.made_since(before)))
kept = numpy.random.default_rng()
print(repr(randomness.made_since(before)))
"""
    # In this process it is imported already.
    told = subprocess.run([sys.executable, "-c", text], check=True, capture_output=True, text=True)
    first, second = told.stdout.splitlines()
    assert first == "''"
    assert "Generator" in second


def test_a_seed_gives_two_processes_the_same_state_and_nothing_else_does():
    random.seed(7)
    np.random.seed()
    others = randomness.digests()
    random.seed(7)
    np.random.seed()
    fixed = randomness.fixed(others)
    assert set(fixed) == {"random"}
    expected = random.random()
    randomness.renew(fixed)
    assert random.random() == expected
    randomness.renew({})
