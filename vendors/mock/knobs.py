"""The behaviour of a mock vendor, set by the query string of its URL: ?latency=0.5&rate=20
(docs/mock-vendors.md).
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
    latency: float = 0  # seconds before the answer
    error_rate: float = 0  # share of calls that are answered with status 500
    status: int | None = None  # replaces the vendor's own status
    retry_after: str = ""  # the header, verbatim, on every answer that is not a 2xx
    rate: int | None = None  # calls accepted in any second; more are answered with status 429
    body: str = ""  # one of BODIES; replaces the correct body
    callback_delay: float = 3  # seconds
    duplicates: int = 0  # identical callbacks after the first
    lost: float = 0  # share of calls whose callback is never sent
    secret_env: str = ""  # the variable with the secret that signs callbacks
    seed: str = ""  # calls with the same seed draw from the same random sequence

    @property
    def luck(self) -> random.Random:
        """The random numbers for error_rate and lost."""
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
    # Only such variables: otherwise any caller could have this vendor sign with the secret of a
    # real one.
    secret_env = forms.RegexField(
        r"^MOCK_[A-Za-z0-9_]+\Z", error_messages={"invalid": A_MOCK_VARIABLE}
    )
    seed = forms.CharField(max_length=100)


@lru_cache(maxsize=1000)
def read_knobs(query_string: str) -> Knobs:
    """Return the knobs in a query string. Raises ValueError with a sentence for people."""
    query = QueryDict(query_string)
    form = _Form(query)
    if unknown := sorted(set(query) - set(form.fields)):
        known = ", ".join(form.fields)
        raise ValueError(f"Unknown knob {unknown[0]!r}. The known ones are {known}.")
    form.full_clean()
    for name in query:
        for sentence in form.errors.get(name, []):
            raise ValueError(f"{name}: {sentence}")
    return Knobs(**{name: form.cleaned_data[name] for name in query})


_unseeded = random.Random()


@lru_cache(maxsize=1000)
def _seeded(seed: str) -> random.Random:
    return random.Random(seed)
