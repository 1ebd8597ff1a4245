"""What each word of a text is, for everything that colours `.glo`: rules, and the TextMate grammar made of them.

Words come from the grammar, the operator table and the prelude: nothing here lists operators or functions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

from glo_dsl.ir.table import FUNCTIONS, OPS
from glo_dsl.lang.concrete import reserved, terminal
from glo_dsl.lang.elaborate import CONSTANTS
from glo_dsl.lang.headers import TYPES
from glo_dsl.lang.imports import prelude
from glo_dsl.lang.syntax_errors import DEFINITIONS

SIGNS = tuple(sorted({op.notation[0] for op in OPS.values() if op.notation}, key=lambda sign: (-len(sign), sign)))

SCOPES = {
    "comment": "comment.line.number-sign",
    "string": "string.quoted.double",
    "number": "constant.numeric",
    "definition": "storage.type",
    "modifier": "storage.modifier",
    "type": "support.type",
    "control": "keyword.control",
    "logic": "keyword.operator.logical",
    "operator": "keyword.operator",
    "constant": "constant.language",
    "function": "support.function",
    "call": "entity.name.function.call",
    "defined": "entity.name.function",
    "law": "entity.name.tag",
    "hole": "variable.parameter.hole",
    "name": "variable.other",
    "mark": "punctuation.separator",
    "bracket": "punctuation.section.brackets",
    "blank": "",
}
"""The kinds of words, and how TextMate grammars call them."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A regular expression, and the kind of what it matches: one of all of it, or one of each of its groups."""

    match: str
    kinds: tuple[str, ...]


def words() -> dict[str, tuple[str, ...]]:
    """The words that have a meaning of their own, by kind.

    >>> words()["logic"]
    ('and', 'not', 'or')
    """
    truths = tuple(word for word in reserved() if word in ("true", "false"))
    found = {
        "definition": DEFINITIONS,
        "modifier": ("shared",),
        "logic": tuple(sign for sign in sorted(SIGNS) if sign.isalpha()),
        "constant": (*truths, *CONSTANTS),
        "type": tuple(dict.fromkeys(kind for kind, _ in TYPES)),
        "function": (*FUNCTIONS, *(name for name in prelude().functions if name not in FUNCTIONS)),
    }
    named = {word for group in found.values() for word in group}
    return {**found, "control": tuple(word for word in reserved() if word not in named)}


def rules() -> list[Rule]:
    """How a text falls into words: at every place the first rule that matches there. Only blanks match none."""
    known, name = words(), terminal("NAME")
    signs = [re.escape(sign) for sign in SIGNS if not sign.isalpha()]
    return [
        Rule("#.*", ("comment",)),
        Rule(terminal("STRING"), ("string",)),
        Rule(rf"(loss|def)\b(\s+)({name})", ("definition", "blank", "defined")),
        Rule(
            rf"(law)\b(\s+)({name})(\s*)(\.)(\s*)({name})",
            ("definition", "blank", "defined", "blank", "mark", "blank", "law"),
        ),
        Rule(_either(known["definition"]), ("definition",)),
        Rule(rf"(\?)(\s*)({name})", ("operator", "blank", "hole")),
        Rule(
            rf"(:)(\s*)(?:(shared)\b(\s+))?({_either(known['type'])})",
            ("mark", "blank", "modifier", "blank", "type"),
        ),
        *(Rule(_either(known[kind]), (kind,)) for kind in ("modifier", "control", "logic", "constant")),
        Rule(rf"{_either(known['function'])}(?=\s*\()", ("function",)),
        Rule(rf"{name}(?=\s*\()", ("call",)),
        Rule(name, ("name",)),
        Rule(terminal("NUMBER"), ("number",)),
        Rule("|".join([terminal("PLUS_MINUS"), *signs, "=", r"\?"]), ("operator",)),
        Rule("[,;:.]", ("mark",)),
        Rule(r"[()\[\]]", ("bracket",)),
    ]


def _either(found: Iterable[str]) -> str:
    """A regular expression for whole words. They may begin right behind a number, as in 2in [0, 8]."""
    return rf"(?:{'|'.join(sorted(found, key=lambda word: (-len(word), word)))})\b"


def textmate() -> str:
    """The TextMate grammar as JSON. It sees one line at a time, as all of them do."""
    grammar = {
        "information_for_contributors": ["glo_dsl/lang/highlight.py makes this file; pytest --update-golden renews it"],
        "name": "glo",
        "scopeName": "source.glo",
        "fileTypes": ["glo"],
        "patterns": [_pattern(rule) for rule in rules()],
    }
    return json.dumps(grammar, indent=2) + "\n"


def _pattern(rule: Rule) -> dict[str, object]:
    scopes = [f"{SCOPES[kind]}.glo" if SCOPES[kind] else "" for kind in rule.kinds]
    if len(scopes) == 1:
        return {"name": scopes[0], "match": rule.match}
    return {"match": rule.match, "captures": {str(n): {"name": s} for n, s in enumerate(scopes, 1) if s}}
