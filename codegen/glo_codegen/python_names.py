"""Names of a `.glo` text as names of a Python text: kept where they can be, for people call the function by them."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Iterable

OURS = re.compile(r"v\d+")
"""Values that a printer names itself."""


def python_names(names: Iterable[str], taken: Iterable[str]) -> dict[str, str]:
    """A Python identifier for each name, all different: the name, with `_` behind if Python or the text has that word.

    What begins with two underscores, which Python reads in a way of its own inside a class, begins with a letter here.

    >>> python_names(["z", "lambda", "print", "v0", "__debug__", "z_"], {"z"})
    {'z': 'z_', 'lambda': 'lambda_', 'print': 'print_', 'v0': 'v0_', '__debug__': 'p__debug__', 'z_': 'z__'}
    """
    used = set(taken)
    found: dict[str, str] = {}
    for name in names:
        wanted = f"p{name}" if name.startswith("__") else name
        while wanted in used or keyword.iskeyword(wanted) or hasattr(builtins, wanted) or OURS.fullmatch(wanted):
            wanted += "_"
        used.add(wanted)
        found[name] = wanted
    return found


def camel(name: str) -> str:
    """The name of a class: `weighted_nll` is `WeightedNll`."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_")) or "Loss"


def number(value: float) -> str:
    """A number as Python reads it, in parentheses if it is negative.

    >>> number(2.0), number(-0.5), number(float("inf"))
    ('2.0', '(-0.5)', 'float("inf")')
    """
    text = repr(value) if abs(value) < float("inf") else f'float("{value}")'
    return f"({text})" if text.startswith("-") else text
