"""The rules as Prometheus reads them (deploy/prometheus/alerts.yml)."""

import json
from collections.abc import Iterator

from jobs.monitoring.rules import RULES
from jobs.monitoring.rules.rule import Alert, Rule

RUNBOOKS = "docs/operations.md#{}"
HEAD = """\
# Alerts for Prometheus, of the rules by which the console's front page says what is wrong.
# Made by `manage.py alert_rules`; change the rules in jobs/monitoring/rules instead.
#
# `runbook` names the section that says what to do. Route by `severity`: critical ones need a person
# now, warnings can wait until somebody looks.
groups:
  - name: enrichlabs
    rules:
"""


def text() -> str:
    """Return the file."""
    return HEAD + "\n".join(_lines())


def name_of(rule: Rule) -> str:
    """Return what the alert of a rule is called, such as EnrichLabsVendorPaused."""
    return "EnrichLabs" + "".join(word.capitalize() for word in rule.name.split("_"))


def runbook_of(rule: Rule) -> str:
    """Return the anchor of the section that says what to do."""
    return rule.name.replace("_", "-")


def _lines() -> Iterator[str]:
    for rule in RULES:
        if rule.alert:
            yield from _alert(rule, rule.alert)


def _alert(rule: Rule, alert: Alert) -> Iterator[str]:
    # JSON strings are YAML strings, too.
    yield f"      - alert: {name_of(rule)}"
    yield f"        expr: {json.dumps(alert.expr)}"
    yield f"        for: {alert.lasts}"
    yield f"        labels: {{severity: {rule.severity.value}}}"
    yield "        annotations:"
    yield f"          summary: {json.dumps(alert.summary)}"
    yield f"          runbook: {RUNBOOKS.format(runbook_of(rule))}"
    yield ""
