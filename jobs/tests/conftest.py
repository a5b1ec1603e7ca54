import pytest

# What the life machine is made of asserts as a test does, and is to say as much when it fails.
pytest.register_assert_rewrite("jobs.tests.life_checks", "jobs.tests.life_clients")
