"""How long a thread waits for the store."""

import pytest

from jobs.storage.store import patience, seconds_left


@pytest.mark.sqlite
def test_within_another_patience_the_one_that_ends_first_counts():
    with patience(2):
        with patience(10):
            assert seconds_left() <= 2
        with patience(1):
            assert seconds_left() <= 1
        assert 1 < seconds_left() <= 2
