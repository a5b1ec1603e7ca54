"""The rows of the table of vendors."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.http import HttpRequest
from django.utils.safestring import SafeString

from jobs.admin.charts import sparkline
from jobs.admin.overview.links import Act, act, jobs_url, url
from jobs.admin.page.texts import bar
from jobs.monitoring.facts import VendorLine, VendorState, WindowUse

MAX_LISTED = 50
FEW_SAMPLES = 20
NOTED_SHARE = 0.1
WORDS = {
    VendorState.DOWN: "breaker open",
    VendorState.NO_WORKER: "no worker",
    VendorState.UNKNOWN: "not known",
}
# States whose sentence stands under the word: the others' says no more than the row.
EXPLAINED = {
    VendorState.NO_WORKER,
    VendorState.DOWN,
    VendorState.PAUSED,
    VendorState.PROBING,
}


@dataclass(frozen=True)
class VendorRow:
    line: VendorLine
    url: str
    word: str
    sentence: str
    in_flight: SafeString | str
    window: SafeString | str
    sparkline: SafeString | str
    is_failing: bool
    has_few_samples: bool
    waiting_url: str
    failed_url: str
    acts: list[Act]


def vendor_rows(lines: Sequence[VendorLine], request: HttpRequest) -> list[VendorRow]:
    may = request.user.has_perm
    links = may("vendors.view_vendor") or may("vendors.change_vendor")
    return [_row(line, request, links_vendor=links) for line in lines]


def _row(line: VendorLine, request: HttpRequest, *, links_vendor: bool) -> VendorRow:
    return VendorRow(
        line,
        url=url("vendors_vendor_change", line.vendor.pk) if links_vendor else "",
        word=WORDS.get(line.state, line.state.replace("_", " ")),
        sentence=_sentence(line),
        in_flight=_in_flight(line),
        window=_window(line.tightest),
        sparkline=sparkline(line.sparkline) if any(line.sparkline) else "",
        is_failing=line.errors_5min > NOTED_SHARE * line.calls_5min,
        has_few_samples=0 < line.samples < FEW_SAMPLES,
        waiting_url=jobs_url(request, vendor=line.slug, status="queued") if line.waiting else "",
        failed_url=jobs_url(request, vendor=line.slug, status="failed", ended="hour"),
        acts=_acts(line, request),
    )


def _sentence(line: VendorLine) -> str:
    """Return why a vendor is in this state, with one full stop at its end."""
    if line.state not in EXPLAINED or not line.sentence:
        return ""
    return line.sentence.rstrip(".") + "."


def _in_flight(line: VendorLine) -> SafeString | str:
    if line.in_flight is None:
        return "–"
    most = line.max_in_flight or 0
    return bar(line.in_flight, most, f"{line.in_flight:,}" + (f"/{most:,}" if most else ""))


def _window(window: WindowUse | None) -> SafeString | str:
    if window is None:
        return ""
    _, _, per = window.label.partition("/")
    words = f"{window.spent:,}/{window.allowed:,} per {per}" if per else window.label
    return bar(window.spent, window.allowed, words, "info")


def _acts(line: VendorLine, request: HttpRequest) -> list[Act]:
    label, page = "Pause", "vendor_pause"
    if line.state == VendorState.PAUSED:
        label, page = "Resume", "vendor_resume"
    target = url(page, line.slug, next=url("index"))
    return act(request, label, target, "vendors.pause_vendor")
