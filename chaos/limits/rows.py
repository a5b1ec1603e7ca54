"""What became of the keys of a pool, and what was edited, for the campaign's table."""

from collections import Counter
from collections.abc import Iterator

from chaos.history import History
from chaos.journal import Edit
from chaos.limits import in_flight
from chaos.limits.definitions import CREDENTIAL
from chaos.plans import UNPAID


def rows(history: History) -> Iterator[tuple[str, str]]:
    stories = history.stories.values()
    arrivals = [each for story in stories for each in story.arrivals if each.api_key]
    refused = Counter(
        f"{each.api_key} {each.mood}" for each in arrivals if each.mood in ("denied", *UNPAID)
    )
    polls = Counter(each.api_key for story in stories for each in story.polls)
    edits = Counter("pools" if each.slug == CREDENTIAL else each.what for each in _edits(history))
    caps = {name: cap for name, cap, _ in in_flight.caps()}
    found = in_flight.most(history)
    counts = (f"{count} of {name} (limit {caps[name]})" for name, count in found.items())
    yield "most in flight, at least", ", ".join(counts)
    yield "calls with each key", _counted(Counter(each.api_key for each in arrivals))
    yield "polls with each key", _counted(polls)
    yield "calls that were refused for their key", _counted(refused)
    yield "settings edited", _counted(edits)


def _edits(history: History) -> Iterator[Edit]:
    return (each for each in history.journal.edits if each.what not in ("denied", *UNPAID))


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {word}" for word, count in sorted(counts.items())) or "none"
