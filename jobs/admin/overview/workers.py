"""The rows of the table of workers."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.http import HttpRequest
from django.utils.safestring import SafeString

from jobs.admin.overview.links import Act, act, url
from jobs.admin.page.texts import NONE, bar
from jobs.monitoring.facts import WorkerLine


@dataclass(frozen=True)
class WorkerRow:
    line: WorkerLine
    word: str
    busy: SafeString | str
    acts: list[Act]


def worker_rows(lines: Sequence[WorkerLine], request: HttpRequest) -> list[WorkerRow]:
    return [WorkerRow(line, _word(line), _busy(line), _acts(line, request)) for line in lines]


def _word(line: WorkerLine) -> str:
    return "drained" if line.state == "draining" and not line.busy else line.state


def _busy(line: WorkerLine) -> SafeString | str:
    if not line.threads:
        return NONE
    return bar(line.busy, line.threads, f"{line.busy:,}/{line.threads:,}", "info")


def _acts(line: WorkerLine, request: HttpRequest) -> list[Act]:
    choices = {
        "alive": (("Drain", "worker_drain"), ("Stop", "worker_stop")),
        "draining": (("Resume", "worker_resume"), ("Stop", "worker_stop")),
    }
    return [
        each
        for label, name in choices.get(line.state, ())
        for each in act(request, label, url(name, line.name), "jobs.manage_workers", is_post=True)
    ]
