"""What clients try with a job that was accepted. None of it may change anything: the same request
again, the same idempotency key with another body, another client's requests, and a list.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from chaos.api import Answer, Session
from chaos.keyring import Keyring
from chaos.submissions import Submission, client_of, stranger_to


@dataclass(frozen=True)
class Probed:
    """One such request, and its response."""

    kind: str
    serial: int
    job_id: str  # that of the job it was about
    answer: str  # status, or the name of an exception
    got_id: str = ""  # the job in the response
    is_replay: bool = False


class Access(NamedTuple):
    """How to reach the API."""

    session: Session
    api: str
    keyring: Keyring


def probe(kind: str, access: Access, submission: Submission, job_id: str) -> Iterator[Probed]:
    """Try one kind with a job."""
    session, api, keyring = access
    own = keyring.headers(submission.client)
    foreign = keyring.headers(stranger_to(submission.client))
    job = f"{api}/jobs/{job_id}"
    match kind:
        case "replay":
            answers = [session.post(f"{api}/jobs", own | submission.header, submission.body)]
        case "other_body":
            body = submission.body | {"other": True}
            answers = [session.post(f"{api}/jobs", own | submission.header, body)]
        case "foreign_job":
            answers = [session.get(job, foreign), session.post(f"{job}/cancel", foreign)]
        case _:
            answers = [_foreign_in(session.get(f"{api}/jobs?limit=100", own), submission.client)]
    for answer in answers:
        got_id = answer.body.get("request_id", "")
        yield Probed(kind, submission.serial, job_id, answer.word, got_id, answer.is_replay)


def _foreign_in(page: Answer, client: str) -> Answer:
    """Return the first job of a page that is another client's, as if it had been asked for."""
    items: list[dict[str, Any]] = page.body.get("items", [])
    foreign = (item for item in items if client_of(_serial(item)) != client)
    return Answer(page.word, next(foreign, {}))


def _serial(item: dict[str, Any]) -> int:
    return int(item["name"].removeprefix("Job "))
