"""A vendor that issues tokens for our credentials, and answers calls that show a current one."""

import base64
import time
from threading import Lock
from urllib.parse import parse_qsl, unquote

from harness.vendor.scripted import Answer, Arrival, VendorServer, done

CLIENT, SECRET = "client:1", "s3cret/of client"
TOKEN_PATH, LOGIN_PATH = "/oauth/token", "/login"


class TokenVendor(VendorServer):
    """Issues tokens at TOKEN_PATH, as OAuth2 does, and at LOGIN_PATH. Everywhere else it answers
    calls as `work` says, unless their token is none of `valid`.

    `life_seconds`: what it says that a token lives; None if it does not say. `refusal` answers
    requests for a token instead, as long as it is set.
    """

    def __init__(self) -> None:
        self.life_seconds: float | None = 3600
        self.refusal: Answer | bytes | None = None
        self.token_delay_seconds = 0.0
        self.work = done
        self.issued: list[str] = []
        self.valid: set[str] = set()
        self.asked: list[Arrival] = []  # requests for a token
        self._lock = Lock()
        super().__init__(self._respond)

    def forget_tokens(self) -> None:
        """Refuse all tokens that were issued so far."""
        self.valid.clear()

    def calls(self) -> list[Arrival]:
        return [each for each in self.arrivals if each not in self.asked]

    def _respond(self, arrival: Arrival) -> Answer | bytes:
        if arrival.path in (TOKEN_PATH, LOGIN_PATH):
            return self._issue(arrival)
        shown = arrival.headers.get("authorization", "").removeprefix("Bearer ")
        return self.work(arrival) if shown in self.valid else Answer(401, {"error": f"no {shown}"})

    def _issue(self, arrival: Arrival) -> Answer | bytes:
        with self._lock:
            self.asked.append(arrival)
            if self.refusal is not None:
                return self.refusal
            if credentials_in(arrival) != (CLIENT, SECRET):
                return Answer(401, {"error": "invalid_client"})
            token = f"tok3n-{len(self.issued) + 1}-{time.time_ns()}"
            self.issued.append(token)
            self.valid.add(token)
        said = {} if self.life_seconds is None else {"expires_in": self.life_seconds}
        body = {"access_token": token, "token_type": "Bearer", **said}
        if arrival.path == LOGIN_PATH:
            body = {"data": {"token": token, **said}}
        return Answer(body=body, delay_seconds=self.token_delay_seconds)


def credentials_in(arrival: Arrival) -> tuple[str | None, str | None]:
    """Return the client and the secret that a request for a token shows."""
    if arrival.path == LOGIN_PATH:
        return arrival.body.get("user"), arrival.body.get("password")
    form = dict(parse_qsl(arrival.content.decode()))
    if form.get("grant_type") != "client_credentials":
        return None, None
    if scheme := arrival.headers.get("authorization"):
        pair = base64.b64decode(scheme.removeprefix("Basic ")).decode()
        client, _, secret = pair.partition(":")
        return unquote(client), unquote(secret)
    return form.get("client_id"), form.get("client_secret")
