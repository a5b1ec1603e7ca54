"""The advice on error codes is complete, and the same in the docs."""

import re
from pathlib import Path

import pytest

from jobs.advice import ADVICE, HELPS, OTHER, advice_on
from jobs.lifecycle.others import EXPIRED, OVERDUE_CODES, QUOTA_SPENT
from jobs.retry import TOKEN_REFUSED
from vendors.base import Outcome

pytestmark = pytest.mark.sqlite
ROOT = Path(__file__).parents[2]
GOOD = {Outcome.FOUND, Outcome.NO_DATA, Outcome.PENDING}
RAISED = re.compile(r'(?:VendorError\(|GiveUp\(|(?:fail|retry_later)\(job, )\s*"([a-z_]+)"')


def test_each_error_code_in_the_code_has_advice():
    known = {*(set(Outcome) - GOOD), *OVERDUE_CODES, EXPIRED, QUOTA_SPENT, TOKEN_REFUSED}
    for folder in ("vendors", "jobs"):
        for module in (ROOT / folder).rglob("*.py"):
            if "tests" not in module.parts and "mock" not in module.parts:
                known |= set(RAISED.findall(module.read_text()))
    assert {"worker_lost", "outcome_unknown", "bad_reply", "adapter_failed"} <= known
    assert known - set(ADVICE) == set()
    assert advice_on("of_an_adapter") is OTHER


def test_a_failed_job_is_not_said_to_be_called_again():
    assert "Nothing" in advice_on("rate_limited").remedy
    assert "Nothing" not in advice_on("rate_limited", has_failed=True).next_step
    assert "Retry it" in advice_on("rate_limited", has_failed=True).next_step
    assert advice_on("invalid_input", has_failed=True).next_step.endswith(HELPS["no"])


def test_the_table_in_the_docs_says_the_same():
    page = (ROOT / "docs/operations.md").read_text()
    cell = r"([^|\n]+) \| "
    rows = re.findall(
        rf"^\| `([a-z_]+)` \| {cell * 2}(yes|once done|no) \| (yes \||\|)$", page, re.M
    )
    words = {"yes": "yes", "after": "once done", "no": "no"}
    assert words.keys() == HELPS.keys()
    assert rows == [
        (
            code,
            advice.meaning,
            advice.remedy,
            words[advice.retry_helps],
            "yes |" if advice.may_pay_twice else "|",
        )
        for code, advice in ADVICE.items()
    ]
