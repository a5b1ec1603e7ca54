"""A worker takes only jobs of vendors that it can call. A vendor that none can call is paused."""

from pathlib import Path

import pytest
from django.conf import settings
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from harness.waiting import wait_for
from jobs.models import Attempt, Job, Status
from jobs.queue.heartbeat import WorkerReport
from jobs.recovery.unusable import everywhere
from jobs.recovery.unusable_pauses import REMEDY
from tests.conftest import wait_until_final
from vendors.models import Vendor

pytestmark = pytest.mark.about_redis

KEY = {"VENDOR_ACME_API_KEY": "k3y"}
NOT_SET = f"No worker can call it: The variable VENDOR_ACME_API_KEY is not set. {REMEDY}"


@pytest.fixture
def acme(make_vendor, vendor_server, transactional_db):
    return make_vendor(url=vendor_server.url, api_key_env="VENDOR_ACME_API_KEY")


def reason() -> str:
    vendor = Vendor.objects.get(slug="acme")
    return vendor.pause_reason if vendor.paused else ""


def test_jobs_wait_without_an_attempt_until_a_worker_has_the_key(
    acme, start_worker, submit, vendor_server
):
    submit(3)
    lacking = start_worker()
    wait_for(lambda: reason() == NOT_SET, "the vendor to be paused")
    vendor = Vendor.objects.get()
    assert (vendor.paused_by, vendor.paused_at is None) == ("", False)
    assert (Attempt.objects.count(), len(vendor_server.arrivals)) == (0, 0)
    not_set = (
        "vendor acme is not called by this worker: The variable VENDOR_ACME_API_KEY is not set."
    )
    assert lacking.output.count(not_set) == 1
    start_worker(**KEY)
    wait_until_final()
    assert {job.status for job in Job.objects.all()} == {Status.COMPLETE}
    assert (reason(), Vendor.objects.get().paused_at, Attempt.objects.count()) == ("", None, 3)


def test_vendor_is_not_paused_while_one_worker_has_the_key(acme, start_worker, submit, make_vendor):
    make_vendor("sentinel", adapter="adapters.nope.Nope")
    lacking, able = start_worker(), start_worker(**KEY)
    submit(5)
    wait_until_final()
    assert {job.status for job in Job.objects.all()} == {Status.COMPLETE}
    wait_for(lambda: Vendor.objects.get(slug="sentinel").paused, "the next check of pauses")
    assert reason() == ""
    able.kill()
    wait_for(lambda: reason() == NOT_SET, "the vendor to be paused")
    assert lacking.process.poll() is None


def test_new_reason_is_logged_when_the_variable_changes(acme, start_worker):
    worker = start_worker()
    wait_for(lambda: reason() == NOT_SET, "the vendor to be paused")
    Vendor.objects.update(api_key_env="ACME_KEY")
    wait_for(lambda: "ACME_KEY is not read" in reason(), "the new reason")
    not_read = "vendor acme is not called by this worker: ACME_KEY is not read"
    assert worker.output.count(not_read) == 1
    Vendor.objects.update(api_key_env="")
    wait_for(lambda: reason() == "", "the end of the pause")
    assert "vendor acme can be called" in worker.output


def test_a_vendor_is_called_once_its_file_of_certificates_is_there(
    acme, start_worker, submit, tmp_path
):
    file = tmp_path / "ca.pem"
    Vendor.objects.update(api_key_env="", definition={"ca_file": str(file)})
    submit(1)
    worker = start_worker()
    why = f"vendor acme is not called by this worker: The file {file} that ca_file names can't be"
    wait_for(lambda: why in worker.output, "the reason in the log")
    file.write_bytes(Path(DEFAULT_CA_BUNDLE_PATH).read_bytes())
    wait_until_final()
    assert [job.status for job in Job.objects.all()] == [Status.COMPLETE]


def test_pause_by_an_operator_is_kept(acme, start_worker, make_vendor):
    make_vendor("sentinel", adapter="adapters.nope.Nope")
    Vendor.objects.filter(slug="acme").update(
        paused=True, pause_reason="Contract ended.", paused_by="ann"
    )
    start_worker(), start_worker(**KEY)
    wait_for(lambda: Vendor.objects.get(slug="sentinel").paused, "the next check of pauses")
    assert reason() == "Contract ended."


@pytest.mark.parametrize(
    "adapter",
    ["adapters.nope.Nope", "adapters.exits.X", "adapters.faulty.FailsToStart", "os.path.join"],
)
def test_adapter_that_cannot_be_loaded_spends_no_attempt(
    start_worker, submit, make_vendor, vendor_server, adapter
):
    make_vendor("acme", adapter=adapter), make_vendor("globex", url=vendor_server.url)
    submit(1), submit(1, vendor="globex")
    worker = start_worker()
    other = Job.objects.filter(vendor="globex", status="complete")
    wait_for(other.exists, "the other vendor's job")
    wait_for(lambda: reason().startswith("No worker can call it: "), "the vendor to be paused")
    assert Attempt.objects.filter(vendor="acme").count() == 0
    assert worker.output.count("vendor acme is not called by this worker") == 1


def test_everywhere_returns_the_vendors_that_no_worker_can_call():
    lacks, able = WorkerReport({"a": "No key."}, None), WorkerReport({}, None)
    assert everywhere([]) == {}
    assert everywhere([lacks]) == {"a": "No key."}
    assert everywhere([lacks, able]) == {}
    assert everywhere([lacks, WorkerReport({}, ["b"])]) == {"a": "No key."}
    assert everywhere([lacks, WorkerReport({}, ["a"])]) == {}
    assert everywhere([lacks, WorkerReport({}, [])]) == {"a": "No key."}


@pytest.mark.parametrize(
    ("adapter", "expected"),
    [
        (
            "ReturnsDict",
            (
                "returned a dict from the method at {}/faulty.py line 15",
                "returned a dict; it must return Done",
            ),
        ),
        (
            "ReturnsTuple",
            (
                "returned Done with a tuple from the method at {}/faulty.py line 20",
                "returned Done with a tuple",
            ),
        ),
        ("Raises", ("failed with KeyError at {}/faulty.py line 26", "failed with KeyError")),
        (
            "RaisesElsewhere",
            ("failed with JSONDecodeError at {}/faulty.py line 31", "failed with JSONDecodeError"),
        ),
    ],
)
def test_log_names_file_and_line_of_a_faulty_adapter(
    start_worker, submit, make_vendor, adapter, expected
):
    make_vendor("acme", adapter=f"adapters.faulty.{adapter}", max_attempts=1)
    submit(1)
    worker, (logged, message) = start_worker("--drain"), expected
    worker.end()
    assert f"the adapter of acme {logged.format(settings.ADAPTERS_DIR)}" in worker.output
    assert message in Job.objects.get().error_message
    assert "Person" not in worker.output
    assert "Traceback" not in worker.output


def test_debug_mode_logs_the_traceback(start_worker, submit, make_vendor):
    make_vendor("acme", adapter="adapters.faulty.Raises", max_attempts=1)
    submit(1)
    worker = start_worker("--drain", DEBUG="1")
    worker.end()
    assert "Traceback" in worker.output
    assert "faulty.py" in worker.output
