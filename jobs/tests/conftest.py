import pytest

# The parts of the life machine assert as tests do, and should report as much when they fail.
pytest.register_assert_rewrite(
    "jobs.tests.life_checks",
    "jobs.tests.life_clients",
    "jobs.tests.life_sweep",
    "jobs.tests.life_workers",
)
