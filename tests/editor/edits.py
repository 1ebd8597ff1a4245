"""What happens to a text while it is being written: example files, and edits of any kind at any place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st

from glo_dsl.lang.zoo_files import zoo_files, zoo_text

EXAMPLES = Path(__file__).parents[2] / "examples"

LONGEST = 1500
"""Characters of a file that are kept: what takes long elsewhere is no matter here."""

FRAGMENTS = (
    *"()[],;:=+-^?.#\"\n\r\t x1", "loss ", "def ", "law ", "example ", "import std\n", 'import "other.glo"\n',
    "per ", "for ", "let ", "in ", "if ", "then ", "else ", "and ", "not ", "true", "shared ", "real[C]", "in (0, 1]",
    "==", "+-", "1e999", "softmax(", "focal(z, t; gamma = 1)", "?f(x)", "C", "inf", "é", "😀", "\u2028", "\r\n",
    "loss g(y: real; k = 2) = y * k\n",
)  # fmt: skip


@dataclass(frozen=True)
class Edit:
    """At a share of the text's length, some characters go and others come."""

    place: float
    deleted: int
    inserted: str

    def apply(self, text: str) -> str:
        start = int(self.place * len(text))
        return text[:start] + self.inserted + text[start + self.deleted :]


def files() -> st.SearchStrategy[str]:
    found = [path.read_text(encoding="utf-8") for path in sorted(EXAMPLES.glob("*.glo"))]
    found += [zoo_text(name)[:LONGEST] for name in sorted(zoo_files())]
    return st.sampled_from(found)


def edits() -> st.SearchStrategy[Edit]:
    pieces = st.lists(st.sampled_from(FRAGMENTS), max_size=3).map("".join) | st.text(max_size=4).filter(_sane)
    return st.builds(Edit, st.floats(0, 1), st.sampled_from([0, 0, 1, 2, 10, 60]), pieces)


def _sane(text: str) -> bool:
    return "\0" not in text  # no name of a file may have it
