"""The vendor of a campaign: a real HTTP server that behaves as each job's plan says, and keeps a
ledger.

    python -m chaos.vendor [--host H] --port P --seed S --ledger FILE

`POST /<slug>` calls the vendor with that slug. It answers at once, or with 202 and callbacks if the
body has a callback_url. Callbacks of the vendor "signed" are signed with
VENDOR_CHAOS_WEBHOOK_SECRET. The vendors without code (chaos/polls) answer a call with a reference,
`GET /<slug>/<reference>` polls it, and `GET /lookup/<serial>` is a call. `POST /control` with
{"vendor": slug, "mood": mood, "seconds": n} puts all requests to a vendor in that mood for n
seconds. Instead of a slug, it may name a key of the credential: all calls with it, and if it is
denied all polls too, are then in that mood. `GET /control` returns what is going on. SIGTERM ends
it.
"""

import argparse
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from chaos.callbacks import Pen, Postman
from chaos.calls import CUT_SHORT, Call
from chaos.ledger import Arrival as LedgerArrival
from chaos.ledger import Ledger
from chaos.ledger import Poll as LedgerPoll
from chaos.limits.definitions import KEY_HEADER, name_of_key
from chaos.moods import send
from chaos.plans import EVERY_MOOD, is_charged, plan_of, result_of, run_of
from chaos.polls import definitions, pen
from chaos.polls.definitions import DEFINITIONS
from chaos.polls.desk import Desk, Poll
from harness.vendor.scripted import Answer, Arrival
from harness.vendor.server import Server, Visit
from vendors.mock.callbacks import key_of

SECRET_ENV = "VENDOR_CHAOS_WEBHOOK_SECRET"  # noqa: S105 - the name of a variable
DENIED = "denied"


class Vendor(Server):
    """All vendors of a campaign, distinguished by path.

    It is built on `Server` rather than on `VendorServer`, because its moods are about bytes and
    connections, and because it records what it answered as well as what arrived. It runs in its own
    process, so that its ledger is independent of the campaign.
    """

    keeps_requests = False  # the ledger has them

    def __init__(
        self, port: int, seed: int, ledger: Ledger, secret: str = "", host: str = "127.0.0.1"
    ) -> None:
        self.calls = 0
        self.ledger = ledger
        self.postman = Postman(ledger)
        self._seed = seed
        self._pen = Pen(key_of(secret))
        self._desk = Desk(seed)
        self._lock = Lock()
        self._numbers: Counter[tuple[str, str]] = Counter()
        self._newest_urls: dict[str, str] = {}
        # The mood imposed on a vendor or a key, and until when (monotonic seconds).
        self._imposed: dict[str, tuple[str, float]] = {}
        super().__init__(self._talk, host=host, port=port)

    def impose(self, vendor: str, mood: str, seconds: float) -> None:
        self._imposed[vendor] = (mood, time.monotonic() + seconds)

    def call_back(self, call: Call) -> None:
        """Have the callbacks of a call posted. An early one is posted and answered first."""
        if call.vendor in DEFINITIONS:
            messages = pen.messages(call, os.environ.get(definitions.SECRET_ENV, ""))
        else:
            messages = self._pen.messages(call)
        for delay_seconds, message in messages:
            if call.callback == "early":
                self.postman.post(message)
            else:
                self.postman.post_later(message, delay_seconds)

    def _talk(self, visit: Visit) -> None:
        caller = visit.connection.getpeername()[0]
        while raw := visit.read_request():
            arrival = Arrival(visit.requested_at, raw, caller)
            try:
                answer = self._control(arrival) or self._arrive(arrival)
            except (KeyError, TypeError, ValueError) as error:
                answer = Answer(400, {"error": f"Invalid call: {error!r}"})
            if isinstance(answer, Answer):
                visit.send(bytes(answer))
            elif not self._serve_call(visit, answer):
                return

    def _control(self, arrival: Arrival) -> Answer | None:
        if arrival.path != "/control":
            return None
        if arrival.method == "GET":
            return Answer(body={"calls": self.calls, "callbacks_open": self.postman.open})
        fields = dict(arrival.body)
        if fields["mood"] not in EVERY_MOOD:
            moods = ", ".join(sorted(EVERY_MOOD))
            raise ValueError(f"Unknown mood {fields['mood']!r}. Use one of {moods}.")
        self.impose(**fields)
        return Answer(body={})

    def _arrive(self, arrival: Arrival) -> Call:
        """Record a call or a poll in the ledger and return it."""
        vendor, _, last = urlsplit(arrival.path).path.strip("/").partition("/")
        if vendor in DEFINITIONS and not _api_key(arrival):
            raise ValueError("without one of the API keys")
        if vendor == "lookup":
            return self._called(arrival, vendor, {**_query(arrival), "serial": last})
        if last:
            return self._polled(arrival, vendor, last)
        return self._called(arrival, vendor, dict(arrival.body))

    def _polled(self, arrival: Arrival, vendor: str, reference: str) -> Poll:
        api_key = _api_key(arrival)
        is_denied = self._imposed_mood(api_key) == DENIED
        mood = self._imposed_mood(vendor) or DENIED * is_denied
        poll = self._desk.poll(reference, mood)
        named = (poll.key, poll.number, poll.poll, poll.mood)
        self.ledger.write(LedgerPoll(arrival.at, vendor, *named, arrival.caller, api_key))
        return poll

    def _called(self, arrival: Arrival, vendor: str, fields: Mapping[str, Any]) -> Call:
        name, serial = str(fields["name"]), int(fields["serial"])
        url, key = str(fields.get("callback_url") or fields.get("callback", "")), arrival.key
        number, other_url = self._number(vendor, key, url)
        plan = plan_of(self._seed, serial, vendor)
        imposed = self._imposed_mood(vendor) or self._imposed_mood(_api_key(arrival))
        mood = imposed or plan.mood_of(run_of(key), number)
        result = result_of(self._seed, key, name=name, serial=serial, mood=mood)
        call = Call(vendor, key, number, mood, plan, result, url, other_url)
        where = (arrival.caller, _api_key(arrival))
        self.ledger.write(
            LedgerArrival(arrival.at, vendor, key, number, serial, mood, call.attempt, *where)
        )
        return self._desk.take_in(call, serial) if vendor in DEFINITIONS else call

    def _number(self, vendor: str, key: str, url: str) -> tuple[int, str]:
        """Return the call's number among those with its key, and another job's callback URL."""
        with self._lock:
            self.calls += 1
            self._numbers[vendor, key] += 1
            number = self._numbers[vendor, key]
            other_url = self._newest_urls.get(vendor, "")
            self._newest_urls[vendor] = url
        is_same_job = urlsplit(other_url).path == urlsplit(url).path
        return number, "" if is_same_job else other_url

    def _imposed_mood(self, target: str) -> str:
        mood, until = self._imposed.get(target, ("", 0.0))
        return mood if time.monotonic() < until else ""

    def _serve_call(self, visit: Visit, call: Call) -> bool:
        """Answer a call and record that. Returns False if the connection must be closed."""
        if call.mood == "slow":
            visit.hang(call.plan.slow_seconds)
        if call.callback_url and is_charged(call.mood) and not isinstance(call, Poll):
            self.call_back(call)
        is_whole = call.mood not in CUT_SHORT
        try:
            stays_open = send(visit, call)
        except OSError:
            is_whole = stays_open = False
        self.ledger.write(call.answered(time.time(), is_whole))
        return stays_open


def _api_key(arrival: Arrival) -> str:
    return name_of_key(arrival.headers.get(KEY_HEADER.lower(), ""))


def _query(arrival: Arrival) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(arrival.path).query))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True, help="0 for any free port")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument(
        "--ledger", type=Path, required=True, help="file that the ledger is appended to"
    )
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    secret, ledger = os.environ.get(SECRET_ENV, ""), Ledger(options.ledger)
    vendor = Vendor(options.port, options.seed, ledger, secret, options.host)
    sys.stdout.write(f"Vendor listening on {options.host}:{vendor.port}\n")
    sys.stdout.flush()
    vendor.stopped.wait()


if __name__ == "__main__":
    main()
