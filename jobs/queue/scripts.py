"""The Lua scripts in jobs/lua. Redis knows a script by the hash of its text, so old and new
processes never mix theirs up.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any

from redis.client import Redis
from redis.commands.core import Script

FOLDER = Path(__file__).parent / "lua"


@lru_cache
def script(*names: str) -> Any:
    """Return the script made of the named files, one after the other; call it with keys, args and
    client.
    """
    text = "\n".join((FOLDER / f"{name}.lua").read_text() for name in names)
    return Script(Redis(), text)
