"""The plans of a campaign's jobs, and the errors that a plan allows."""

import pytest

from chaos import plans
from chaos.plans import MOODS, Plan, error_of, may_fail_with, plan_of
from chaos.tests.conftest import JOB, SEED


def test_plans_depend_on_the_seed_and_most_have_no_trouble():
    some = [plan_of(SEED, serial, "acme") for serial in range(8000)]
    assert (
        some[:500]
        == [plan_of(SEED, serial, "acme") for serial in range(500)]
        != [plan_of(8, n, "acme") for n in range(500)]
    )
    plain = sum((plan.moods, plan.callback, plan.client) == ((), "normal", "") for plan in some)
    assert 0.75 < plain / len(some) < 0.85
    assert {plan.moods[0] for plan in some if plan.moods} == {*MOODS, "500_after_work"}
    assert sum(bool({"429_seconds", "429_date"} & set(plan.moods)) for plan in some) < 0.005 * len(
        some
    )
    assert sum(
        sum(bool(error_of(mood, is_async=False)) for mood in plan.moods) > 2 for plan in some
    ) < 0.005 * len(some)


def test_trouble_is_limited_to_the_first_run_and_its_first_successful_call():
    plan = Plan(("500", "timeout"), "lost")
    assert [plan.mood_of(1, number) for number in (1, 2, 3)] == ["500", "timeout", "ok"]
    assert [plan.callback_of(1, number) for number in (1, 2, 3)] == ["normal", "lost", "normal"]
    assert (plan.mood_of(2, 1), plan.callback_of(2, 2)) == ("ok", "normal")
    assert (plans.run_of(JOB), plans.run_of(f"{JOB}:2")) == (1, 2)


@pytest.mark.parametrize(
    ("plan", "settings", "codes"),
    [
        (Plan(("500", "slow")), {}, set()),
        (Plan(("500", "refused")), {}, {"invalid_input"}),
        (Plan(("500", "refused")), {"run": 2}, set()),
        (Plan(("500",) * 6), {}, {"vendor_error"}),
        (Plan(("429_date", *["500"] * 5)), {}, set()),
        (Plan(("500", "html")), {"max_attempts": 2}, {"bad_reply"}),
        (Plan(("reset",)), {"repeat_unknown": False}, {"outcome_unknown"}),
        (Plan((), "late"), {}, {"callback_overdue"}),
        (Plan((), "lost"), {"repeat_overdue": True}, set()),
        (Plan(("500",), "lost"), {"repeat_overdue": True, "max_attempts": 2}, {"callback_overdue"}),
    ],
)
def test_may_fail_with_lists_the_errors_of_the_plan(plan, settings, codes):
    assert may_fail_with(plan, **settings) == codes
