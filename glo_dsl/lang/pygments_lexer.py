"""Colours for `.glo` in everything that uses Pygments: Sphinx, Jupyter, rich, LaTeX's minted."""

from __future__ import annotations

from typing import Any, ClassVar

from pygments.lexer import RegexLexer, bygroups
from pygments.token import Comment, Keyword, Name, Number, Operator, Punctuation, String, Whitespace

TOKENS = {
    "comment": Comment.Single,
    "string": String.Double,
    "number": Number,
    "definition": Keyword.Declaration,
    "modifier": Keyword.Reserved,
    "type": Keyword.Type,
    "control": Keyword,
    "logic": Operator.Word,
    "operator": Operator,
    "constant": Keyword.Constant,
    "function": Name.Builtin,
    "call": Name.Function,
    "defined": Name.Function,
    "law": Name.Label,
    "hole": Name.Variable,
    "name": Name,
    "mark": Punctuation,
    "bracket": Punctuation,
    "blank": Whitespace,
}
"""The kinds of words in `glo_dsl.lang.highlight`, and how Pygments calls them."""


class GloLexer(RegexLexer):  # type: ignore[misc]
    """Splits a `.glo` text into tokens.

    >>> [text for kind, text in GloLexer().get_tokens("law f.zero: f(0) == 0") if kind in Name]
    ['f', 'zero', 'f']
    """

    name = "glo"
    aliases: ClassVar[list[str]] = ["glo"]
    filenames: ClassVar[list[str]] = ["*.glo"]

    @classmethod
    def get_tokendefs(cls) -> dict[str, list[Any]]:
        """The rules, made when the first text comes: Pygments imports all lexers to look for one."""
        from glo_dsl.lang.highlight import rules

        found: list[Any] = [(r"[ \t\r\n\f]+", Whitespace)]
        for rule in rules():
            kinds = [TOKENS[kind] for kind in rule.kinds]
            found.append((rule.match, kinds[0] if len(kinds) == 1 else bygroups(*kinds)))
        return {"root": found}
