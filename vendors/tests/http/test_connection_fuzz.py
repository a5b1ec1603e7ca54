"""A short run of loadtest/connection_fuzz.py: calls to a hostile server."""

from loadtest.connection_fuzz import Fuzz


def test_no_reply_holds_bytes_sent_for_another_call() -> None:
    fuzz = Fuzz(calls=2500, seed=1).run()
    assert fuzz.mixed == []
    assert fuzz.unexpected == []
    assert fuzz.outcomes.total() == 2500
    assert fuzz.outcomes["done"] > 1000
