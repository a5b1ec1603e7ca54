"""What may be wrong with the service: each rule finds its problems in a snapshot, and makes the
alert that pages for them (deploy/prometheus/alerts.yml), so that page and pager agree.
"""

from jobs.monitoring.rules import answers, service, vendors
from jobs.monitoring.rules.rule import Alert, Rule

# In the order in which their problems are shown, after their severity: those that explain others
# come first.
RULES: list[Rule] = [*service.RULES, *vendors.RULES, *answers.RULES]

__all__ = ["RULES", "Alert", "Rule"]
