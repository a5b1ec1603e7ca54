"""Each rule finds its fault, and the alert made of it fires at the same time."""

import json
import re
import shutil
import subprocess
from dataclasses import replace

import pytest
from django.conf import settings as project
from prometheus_client.parser import text_string_to_metric_families

from jobs import tallies
from jobs.monitoring.history import VendorHistory
from jobs.monitoring.rules import RULES, alerts, answers
from jobs.queue.clock import redis_clock
from jobs.tallies.recent import recent
from jobs.tallies.samples import Sampler
from jobs.tests.console import sign_in_as_superuser
from jobs.tests.monitoring.faults import FAULTS
from jobs.tests.monitoring.looking import now

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]

ALERTS_FILE = project.BASE_DIR / "deploy/prometheus/alerts.yml"
FAULTS_BY_NAME = {fault.__name__: fault for fault in FAULTS}
BY_NAME = {rule.name: rule for rule in RULES}
RISING = {"oldest_waiting": 30, "repairs_rising": 1}  # what these alerts look for must go on


def problems():
    return now().problems


def metrics(client):
    """Return the numbers in /metrics, by name and labels as Prometheus writes them."""
    families = text_string_to_metric_families(client.get("/metrics").content.decode())
    samples = (sample for family in families for sample in family.samples)
    return {each.name + json.dumps(each.labels): each for each in samples}


def test_every_rule_has_a_fault():
    assert [fault.__name__ for fault in FAULTS] == [rule.name for rule in RULES]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_is_found_and_its_alert_fires(fault, stage, client, tmp_path):
    rule, sentence = BY_NAME[fault.__name__], FAULTS[fault]
    assert problems() == [], "the service is well"
    before = metrics(client)
    fault(stage)
    [found] = [problem for problem in problems() if problem.rule == rule.name]
    assert sentence in found.sentence
    assert found.severity == rule.severity
    if rule.alert is None:
        assert rule.no_alert_because
        return
    after = metrics(client)
    shown = {sample.name for sample in after.values()}
    assert set(re.findall(r"enrichlabs_\w+", rule.alert.expr)) <= shown
    if promtool := shutil.which("promtool"):
        assert_fires(promtool, rule, before, after, tmp_path)


def test_what_a_line_leads_to_is_what_it_is_about(stage):
    FAULTS_BY_NAME["callbacks_overdue"](stage)
    [problem] = re.findall(
        r'<li class="problem.*?</li>', sign_in_as_superuser().get("/admin/").content.decode(), re.S
    )
    jobs, callbacks = re.findall(r'href="(/admin/jobs/[^"]*)"', problem)[::-1]
    assert "vendor=acme&amp;error_code=callback_overdue&amp;status=failed&amp;ended_after=" in jobs
    assert callbacks == "/admin/jobs/callback/?vendor=acme"


def test_a_commit_that_took_long_is_found_later(stage):
    tallies.committed(0.9)
    tallies.committed(1.1)
    tallies.flush()
    [found] = problems()
    assert "The store is slow: 1 commit took over 1 s in the last 10 min." in found.sentence


def test_whoever_leads_counts_the_minutes_without_a_slot(stage):
    Sampler().step()
    FAULTS_BY_NAME["at_cap"](stage)
    Sampler().step()
    tallies.flush()
    recent.forget()
    minutes = recent.minutes(redis_clock.now())
    newest = minutes[max(minutes)]["acme"]
    assert (newest.events["at_cap"], newest.waiting) == (1, 1)


@pytest.mark.parametrize(
    ("errors", "of", "errors_before", "of_before", "is_failing"),
    [
        (3, 19, 0, 100, False),  # too few calls
        (2, 20, 0, 100, False),  # not over 10 %
        (5, 20, 0, 1000, True),
        (5, 20, 200, 1000, False),  # as all day long
        (15, 20, 1000, 1000, True),  # most of them
    ],
)
def test_when_errors_are_a_problem(errors, of, errors_before, of_before, is_failing):
    history = VendorHistory(calls=of, errors=errors, calls_day=of_before, errors_day=errors_before)
    assert answers.is_failing(history) == is_failing


def test_a_rule_that_fails_does_not_take_the_page_with_it(stage, monkeypatch, caplog):
    broken = replace(RULES[0], find=lambda snapshot: 1 / 0)
    monkeypatch.setattr("jobs.monitoring.snapshot.RULES", [broken, *RULES[1:]])
    FAULTS_BY_NAME["vendor_paused"](stage)
    assert [problem.rule for problem in problems()] == ["vendor_paused"]
    assert "the rule redis_away failed" in caplog.text


def test_the_exported_alerts_are_those_of_the_rules():
    assert ALERTS_FILE.read_text() == alerts.text(), "run manage.py alert_rules"


def test_each_runbook_is_a_section():
    sections = (project.BASE_DIR / "docs/operations.md").read_text()
    missing = [rule.name for rule in RULES if f"### {alerts.runbook_of(rule)}\n" not in sections]
    assert missing == []


def assert_fires(promtool, rule, before, after, folder):
    """Let Prometheus evaluate the rules over an hour that is well and another with the fault."""
    series = [
        {"series": _series(sample), "values": _values(rule, before.get(key), sample)}
        for key, sample in after.items()
        if sample.name in rule.alert.expr
    ]
    lasts = {"s": 1, "m": 60}[rule.alert.lasts[-1]] * int(rule.alert.lasts[:-1])
    alert = alerts.name_of(rule)
    test = {
        "interval": "30s",
        "input_series": series,
        "alert_rule_test": [{"eval_time": "59m", "alertname": alert, "exp_alerts": []}],
        "promql_expr_test": [
            {
                "expr": f'count(ALERTS{{alertname="{alert}", alertstate="firing"}})',
                "eval_time": f"{60 + lasts // 60 + (12 if rule.name in RISING else 2)}m",
                "exp_samples": [{"labels": "{}", "value": 1}],
            }
        ],
    }
    (folder / "alerts.yml").write_text(alerts.text())
    file = folder / "test.yml"
    file.write_text(json.dumps({"rule_files": ["alerts.yml"], "tests": [test]}))
    run = subprocess.run([promtool, "test", "rules", file], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def _series(sample):
    labels = ", ".join(f"{name}={json.dumps(value)}" for name, value in sample.labels.items())
    return f"{sample.name}{{{labels}}}"


def _values(rule, before, sample):
    well = f"0+{before.value / 120}x120" if before else "_x120"  # counters have always risen
    if before and not sample.name.endswith("_total"):
        well = f"{before.value}x120"
    rise = RISING.get(rule.name, 0) if before is None or before.value != sample.value else 0
    return f"{well} {sample.value}+{rise}x120"
