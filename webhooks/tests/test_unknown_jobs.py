"""A callback for an unknown job is stored as unmatched if its token or signature is valid."""

import uuid

from jobs.models import Callback, Job, Verdict
from webhooks.tests.signing import signed


def test_a_callback_for_an_unknown_job_with_a_valid_signature_is_unmatched(signed_job, post):
    unknown = str(uuid.uuid4())
    answer = post(unknown, "wrong", **signed())
    assert (answer.status_code, answer.json()) == (202, {"status": "unmatched"})
    assert Callback.objects.get(job=unknown).verdict == Verdict.UNMATCHED


def test_a_callback_for_an_unknown_job_with_a_valid_token_is_unmatched(job, post):
    pruned = str(uuid.uuid4())
    assert post(pruned).status_code == 202
    assert Callback.objects.get(job=pruned).verdict == Verdict.UNMATCHED


def test_a_callback_for_an_unknown_job_with_neither_is_refused(job, post):
    assert post(str(uuid.uuid4()), "wrong").status_code == 401
    assert not Callback.objects.exists()


def test_a_signing_vendor_learns_nothing_about_another_vendors_jobs(
    signed_job, make_vendor, make_job, post
):
    make_vendor("globex", adapter="async")
    theirs = make_job(vendor="globex", status="waiting", attempt=1)
    answers = [post(job, "wrong", **signed()) for job in (theirs, str(uuid.uuid4()))]
    answers = {(answer.status_code, answer.content) for answer in answers}
    assert len(answers) == 1
    assert answers.pop()[0] == 202
    assert Job.objects.get(pk=theirs.pk).status == "waiting"
