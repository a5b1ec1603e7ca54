import pytest

# The parts of the life machine assert as tests do, and should report as much when they fail.
pytest.register_assert_rewrite(
    "jobs.tests.life_checks",
    "jobs.tests.life_clients",
    "jobs.tests.life_sweep",
    "jobs.tests.life_workers",
)


@pytest.fixture
def lasting_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who sends a request is not read again during the test, however busy the machine is."""
    monkeypatch.setattr("clients.directory.MAX_AGE_SECONDS", 3600)
