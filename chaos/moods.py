"""How a call of the campaign's vendor is answered, byte by byte, in each mood."""

from datetime import UTC, datetime
from email.utils import format_datetime

from chaos.calls import Call
from harness.vendor.server import Visit

TIMEOUT_SECONDS = 8.0  # twice the timeout of the campaign's calls
HANG_SECONDS = 30.0
DRIP_SECONDS = 1.0
DRIP_BYTES = 8
ENDLESS_BYTES = 3 * 1024 * 1024
CHUNK = b"x" * 65536
RESET_DELAY_SECONDS = 0.05  # so that the bytes sent before the reset arrive


def send(visit: Visit, call: Call) -> bool:
    """Answer a call. Returns whether the connection stays open. Raises OSError if it breaks."""
    body = call.body()
    match call.mood:
        case "timeout":
            visit.hang(TIMEOUT_SECONDS)
        case "hang":
            visit.hang(HANG_SECONDS)
        case "reset":
            visit.reset()
        case "reset_midway":
            visit.send(_head(call, len(body)) + body[: len(body) // 2])
            visit.hang(RESET_DELAY_SECONDS)
            visit.reset()
        case "drip":
            visit.send(_head(call, len(body), closes=True))
            visit.drip(body[:DRIP_BYTES], DRIP_SECONDS)
        case "endless":
            _send_endlessly(visit, call)
        case _:
            visit.send(_head(call, len(body)) + body)
            return True
    return False


def _send_endlessly(visit: Visit, call: Call) -> None:
    visit.send(_head(call, None, closes=True))
    for _ in range(ENDLESS_BYTES // len(CHUNK)):
        visit.send(CHUNK)


def _head(call: Call, length: int | None, *, closes: bool = False) -> bytes:
    """Return the head of a response. Without a length, the body ends with the connection."""
    now = datetime.now(UTC)
    headers = {
        "Date": format_datetime(now, usegmt=True),
        "Content-Type": "application/json",
        **call.headers(now),
    }
    if length is not None:
        headers["Content-Length"] = str(length)
    if closes:
        headers["Connection"] = "close"
    lines = [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([f"HTTP/1.1 {call.status} Mood", *lines, "", ""]).encode()
