"""Text of a study as a reader may see it: no character in it acts on the page, or on the direction of reading."""

from __future__ import annotations

import unicodedata

_KEPT = frozenset("\n\t")
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def visible(text: str) -> str:
    r"""The text with characters that have no shape of their own written as numbers.

    >>> visible("a\x00b\u202ec\n")
    'a<U+0000>b<U+202E>c\n'
    """
    return "".join(c if c in _KEPT or unicodedata.category(c) not in _UNSEEN else f"<U+{ord(c):04X}>" for c in text)


def shortened(text: str, most: int = 40) -> str:
    """The beginning of a name that may be of any length."""
    return text if len(text) <= most else text[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"
