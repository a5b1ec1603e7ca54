"""Ready-made definitions of real vendors, each with answers to test it against.

`NAME.toml` is the definition, `answers/NAME.json` what the vendor answers. Both were written by
hand from the vendor's public documentation, which each definition names. What that does not show is
marked `# assumed` there, and `"assumed": true` in the answers.
"""

from pathlib import Path

FOLDER = Path(__file__).parent


def names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def text(name: str) -> str:
    """Return the definition as TOML. Raises ValueError for an unknown name."""
    if name not in names():
        raise ValueError(f"The gallery has no {name}. It has {', '.join(names())}.")
    return (FOLDER / f"{name}.toml").read_text(encoding="utf-8")
