"""How a mock vendor behaves, as the query string of its URL says (docs/mock-vendors.md):
?latency=0.5&rate=20
"""

import random
from dataclasses import dataclass
from functools import lru_cache

from django import forms
from django.http import QueryDict

BODIES = ("malformed", "endless", "drip", "html")
A_MOCK_VARIABLE = "Name a variable that begins with MOCK_, such as MOCK_WEBHOOK_SECRET."
ONE_BODY = f"Choose one of {', '.join(BODIES)}."


@dataclass(frozen=True)
class Knobs:
    latency: float = 0  # seconds until the answer begins
    error_rate: float = 0  # share of calls that are answered with status 500
    status: int | None = None  # answered instead of the vendor's own
    retry_after: str = ""  # this header, as it is given, on every answer that is no success
    rate: int | None = None  # calls taken in any second; more are answered with status 429
    body: str = ""  # one of BODIES, instead of the right one
    callback_delay: float = 3  # seconds
    duplicates: int = 0  # callbacks that follow the first, all alike
    lost: float = 0  # share of calls whose callback is never sent
    secret_env: str = ""  # the variable, MOCK_ and more, that holds the secret of signed callbacks
    seed: str = ""  # the same seed, the same luck

    @property
    def luck(self) -> random.Random:
        """What error_rate and lost draw from; calls with the same seed draw from the same sequence."""
        return _seeded(self.seed) if self.seed else _unseeded


class _Form(forms.Form):
    latency = forms.FloatField(min_value=0, max_value=600)
    error_rate = forms.FloatField(min_value=0, max_value=1)
    status = forms.IntegerField(min_value=200, max_value=599)
    retry_after = forms.RegexField(r"^[ -~]{1,100}\Z")
    rate = forms.IntegerField(min_value=1, max_value=1_000_000)
    body = forms.ChoiceField(
        choices=[(word, word) for word in BODIES], error_messages={"invalid_choice": ONE_BODY}
    )
    callback_delay = forms.FloatField(min_value=0, max_value=86400)
    duplicates = forms.IntegerField(min_value=0, max_value=100)
    lost = forms.FloatField(min_value=0, max_value=1)
    # No other variable: whoever reaches this vendor could have it sign with a secret of a real one.
    secret_env = forms.RegexField(
        r"^MOCK_[A-Za-z0-9_]+\Z", error_messages={"invalid": A_MOCK_VARIABLE}
    )
    seed = forms.CharField(max_length=100)


@lru_cache(maxsize=1000)
def read_knobs(query_string: str) -> Knobs:
    """Return the knobs that a query string names. Raises ValueError with a sentence that says what
    is wrong.
    """
    query = QueryDict(query_string)
    form = _Form(query)
    if unknown := sorted(set(query) - set(form.fields)):
        raise ValueError(f"There is no knob {unknown[0]!r}; there are {', '.join(form.fields)}.")
    form.full_clean()
    for name in query:
        for sentence in form.errors.get(name, []):
            raise ValueError(f"{name}: {sentence}")
    return Knobs(**{name: form.cleaned_data[name] for name in query})


_unseeded = random.Random()


@lru_cache(maxsize=1000)
def _seeded(seed: str) -> random.Random:
    return random.Random(seed)
