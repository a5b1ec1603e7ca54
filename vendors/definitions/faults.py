"""What is wrong with a definition, key by key."""

from collections.abc import Iterable, Mapping


class DefinitionFaults(ValueError):
    """A definition can't be used.

    `faults` has a sentence for each faulty key, such as "poll.every" or "outcomes[1].when". Keys
    are paths below the vendor, or below the credential.
    """

    def __init__(self, faults: Mapping[str, str]) -> None:
        self.faults = dict(faults)
        super().__init__("\n".join(f"{key}: {message}" for key, message in faults.items()))


def unknown_key(known: Iterable[str]) -> str:
    return f"Unknown key. The known ones are {', '.join(known)}."
