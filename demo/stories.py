"""What each vendor of the demo was like during the last day."""

from dataclasses import dataclass

DAY_SECONDS = 86_400.0


@dataclass(frozen=True)
class Trouble:
    """What a share of calls came to during a time, in seconds before now."""

    code: str
    message: str
    share: float
    since: float = DAY_SECONDS
    until: float = 0.0
    status: int | None = None  # of the vendor's reply, if there was one

    def applies(self, ago: float) -> bool:
        return self.until <= ago <= self.since


@dataclass(frozen=True)
class Story:
    """`share` is that of all jobs; `held_seconds` ago its calls stopped, so that jobs since then
    wait. A vendor with `calls_back` answers by callback.
    """

    vendor: str
    share: float
    call_seconds: float
    wait_seconds: float = 0.05
    calls_back: bool = False
    held_seconds: float = 0.0
    no_data: float = 0.05
    cost: float | None = None
    troubles: tuple[Trouble, ...] = ()


def _answered(status: int) -> str:
    return f"The vendor answered {status}."


REFUSED = Trouble("invalid_input", _answered(422), 0.02, status=422)
STORIES = (
    Story("people", 0.30, 0.15, cost=0.02, troubles=(REFUSED,)),
    Story("companies", 0.22, 0.1, calls_back=True, cost=0.05),
    Story(
        "addresses",
        0.16,
        0.4,
        wait_seconds=40,
        troubles=(Trouble("timeout", "The vendor did not answer within 30 s.", 0.02),),
    ),
    Story(
        "emails",
        0.12,
        0.22,
        no_data=0.2,
        troubles=(
            Trouble("vendor_error", _answered(500), 0.34, since=5 * 3600, status=500),
            Trouble("vendor_error", _answered(500), 0.05, until=5 * 3600, status=500),
        ),
    ),
    Story(
        "phones",
        0.06,
        0.1,
        wait_seconds=15,
        troubles=(Trouble("rate_limited", _answered(429), 0.2, status=429),),
    ),
    Story(
        "registry",
        0.04,
        0.3,
        held_seconds=25 * 60,
        troubles=(Trouble("vendor_error", _answered(503), 1.0, since=35 * 60, status=503),),
    ),
    Story(
        "credit",
        0.03,
        0.25,
        held_seconds=50 * 60,
        troubles=(Trouble("auth", _answered(401), 1.0, since=52 * 60, status=401),),
    ),
    Story(
        "sanctions",
        0.05,
        0.1,
        calls_back=True,
        troubles=(Trouble("callback_overdue", "No callback arrived within 30 s.", 0.12),),
    ),
    Story("vat", 0.02, 0.3, held_seconds=2.2 * 3600),
)
