"""The steps of the life machine: their weights, when they are possible, and what is drawn."""

from collections.abc import Callable
from typing import NamedTuple

from hypothesis import strategies as st

from jobs.tests.life_values import ERRORS, Terms

TERMS = {"acme": Terms(3, True, False), "bolt": Terms(2, False, True)}

NUMBERS, SLUGS = st.integers(0, 5), st.sampled_from(sorted(TERMS))
RARELY = st.sampled_from([False] * 5 + [True])
# Seconds until a job may start, and until it expires; 0 for neither. Time passes in steps of 20 s,
# so a slow test makes no difference.
DELAYS, LIVES = st.sampled_from([0, 0, 0, 59]), st.sampled_from([0, 0, 0, 79])
FAULTS = st.sampled_from([""] * 4 + ["Redis", "store"])
ANSWERS = st.sampled_from(["found", "no_data", "pending", "pending", "not called", *ERRORS])
AFTER_TAKE = st.sampled_from(["claim"] * 3 + ["nothing", "the reply is lost"])
TEXTS = st.sampled_from(["good", "better", "bad", "odd"])
SOME_ANSWERS = st.lists(ANSWERS, min_size=1, max_size=3)


def nth(things, n):
    return list(things)[n % len(things)]


class Step(NamedTuple):
    weight: int
    name: str
    when: Callable
    arguments: dict


STEPS = []


def step(weight, when=lambda self: True, **arguments):
    """Register a step that may happen next.

    Not a rule of Hypothesis, which leaves out some rules in each example; then no job gets far.
    """

    def register(function):
        STEPS.append(Step(weight, function.__name__, when, arguments))
        return function

    return register
