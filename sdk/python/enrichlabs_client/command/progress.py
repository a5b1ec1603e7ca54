"""Shows how far the command is: a bar on a terminal, now and then a line elsewhere."""

import sys
import time

from enrichlabs_client.http.answers import printable

BAR_WIDTH = 30
REDRAW_SECONDS = 0.1
LINE_SECONDS = 30.0


class Progress:
    def __init__(self, *, quiet: bool) -> None:
        self.is_terminal = sys.stderr.isatty()
        self._quiet = quiet
        self._shown_at = time.monotonic() - REDRAW_SECONDS
        self._has_bar = False

    def show(self, what: str, done: int, total: int) -> None:
        if self._quiet:
            return
        now = time.monotonic()
        pause = REDRAW_SECONDS if self.is_terminal else LINE_SECONDS
        if now - self._shown_at < pause and done < total:
            return
        self._shown_at = now
        share = done / total if total else 1.0
        text = f"{what}: {done:,} of {total:,} ({share:.0%})"
        if self.is_terminal:
            filled = int(share * BAR_WIDTH)
            bar = "#" * filled + "." * (BAR_WIDTH - filled)
            print(f"\r\033[K[{bar}] {text}", end="", file=sys.stderr, flush=True)
            self._has_bar = True
        else:
            print(text, file=sys.stderr, flush=True)

    def end(self) -> None:
        """Leave the bar on a line of its own."""
        if self._has_bar:
            print(file=sys.stderr, flush=True)
        self._has_bar = False

    def say(self, sentence: str) -> None:
        self.end()
        if not self._quiet:
            print(printable(sentence), file=sys.stderr, flush=True)
