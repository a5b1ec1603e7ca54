"""What the plan page of a bulk action asks for."""

from typing import Any

from django import forms

from jobs.advice import advice_on
from jobs.bulk.plan import Plan

FREE_COUNT = 100  # up to so many jobs, no reason is asked for
MAX_PER_SECOND = 10_000
RISK = (
    "Also retry those with outcome_unknown. The vendor may have done their work, which may then be "
    "paid twice."
)

HOPELESS = "Retry them all the same, with the input that they have."


def hopeless_in(plan: Plan) -> list[str]:
    """Return the codes of the plan's jobs that a retry will not help."""
    codes = sorted(plan.by_code) if plan.kind.name == "retry" else []
    return [code for code in codes if advice_on(code).retry_helps == "no"]


class StartForm(forms.Form):
    reason = forms.CharField(
        max_length=500,
        required=False,
        strip=True,
        help_text="Kept with the action and in the audit trail. No personal data.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    per_second = forms.FloatField(
        label="At most a second",
        required=False,
        min_value=0.01,
        max_value=MAX_PER_SECOND,
        help_text="Empty: as fast as the vendor's limits allow.",
        widget=forms.NumberInput(attrs={"step": "any"}),
    )
    is_hopeless = forms.BooleanField(
        label=HOPELESS, error_messages={"required": "Tick the box if you mean it."}
    )
    repeats_unknown = forms.BooleanField(label=RISK, required=False)

    def __init__(self, plan: Plan, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})
        self.fields["reason"].required = plan.is_bound or plan.count > FREE_COUNT
        self.fields["reason"].error_messages["required"] = (
            f"More than {FREE_COUNT} jobs need a reason."
        )
        if plan.kind.name == "cancel":
            self.fields["per_second"].help_text = "Empty: as fast as possible."
        if 2 * sum(plan.by_code[code] for code in hopeless_in(plan)) <= plan.count:
            del self.fields["is_hopeless"]
        if not (plan.unknown or (plan.kind.name == "retry" and plan.is_bound)):
            del self.fields["repeats_unknown"]
