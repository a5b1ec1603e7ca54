"""The vendor's account that counts for each limit and for each key."""

from collections import Counter
from collections.abc import Iterator
from itertools import count

import pytest

from harness.vendor.account import TOO_FAST, UNPAID, Account, Allowance
from harness.vendor.scripted import done

WINDOW = Allowance(windows=((2, 1.0),))


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def open_account(clock) -> Iterator[object]:
    accounts = []

    def open_account(allowances, **options) -> Account:
        accounts.append(Account(allowances, clock=clock, answer=done, **options))
        return accounts[-1]

    yield open_account
    for account in accounts:
        account.stop()


def arrivals(account, clock, *calls):
    """Return what each call is refused with, given as time, slug and key."""
    statuses = []
    for clock.now, slug, key in calls:
        statuses.append(account.arrive(slug, key))
    return statuses


def test_a_window_slides_and_counts_no_refused_call(open_account, clock):
    account = open_account({"all": WINDOW})
    calls = [(at, "one", "k") for at in (100.0, 100.5, 100.9, 101.0, 101.4, 101.5)]
    assert arrivals(account, clock, *calls) == [None, None, TOO_FAST, None, TOO_FAST, None]
    assert account.refusals == Counter({("all", ""): 2})


def test_vendors_share_an_allowance_and_keys_do_not(open_account, clock):
    per_key = Allowance(windows=((2, 1.0),), per_key=True)
    account = open_account({"key": per_key, "team": Allowance(windows=((3, 1.0),))})
    calls = [(100.0, slug, key) for slug, key in ("1a", "2a", "1a", "1b", "1b")]
    assert arrivals(account, clock, *calls) == [None, None, TOO_FAST, None, TOO_FAST]
    assert account.refusals == Counter({("key", "a"): 1, ("team", ""): 1})


def test_a_call_counts_its_units_in_every_allowance_or_in_none(open_account, clock):
    wide, narrow = Allowance(windows=((4, 1.0),)), Allowance(windows=((2, 1.0),))
    account = open_account({"wide": wide, "narrow": narrow}, weights={"heavy": 2})
    calls = [(100.0, "light", ""), (100.0, "heavy", ""), (100.0, "light", "")]
    assert arrivals(account, clock, *calls) == [None, TOO_FAST, None]
    assert [sum(units for _, units in bucket.counted) for bucket in account.buckets.values()] == [
        *(2, 2)
    ]


def test_a_quota_begins_anew_with_each_period(open_account, clock):
    account = open_account({"quota": Allowance(quota=2, period_seconds=10)})
    calls = [(at, "one", "") for at in (108.0, 109.0, 109.9, 110.0, 111.0, 119.9)]
    assert arrivals(account, clock, *calls) == [None, None, UNPAID, None, None, UNPAID]
    assert account.buckets["quota", ""].periods == Counter({10: 2, 11: 2})


def test_a_key_without_credits_is_refused_until_it_has_some(open_account, clock):
    account, at = open_account({}), count(100)
    account.credits["a"] = 1
    calls = [(next(at), "one", key) for key in "aab"]
    assert arrivals(account, clock, *calls) == [None, UNPAID, None]
    account.credits["a"] = 1
    assert account.arrive("one", "a") is None


def test_an_allowance_can_be_of_some_vendors(open_account, clock):
    account = open_account({"one": Allowance(windows=((1, 1.0),), slugs=frozenset({"1"}))})
    calls = [(100.0, slug, "") for slug in "1212"]
    assert arrivals(account, clock, *calls) == [None, None, TOO_FAST, None]
