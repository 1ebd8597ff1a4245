"""What can be called, described: how it is written, what its author says of it, where it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from lark import Tree

from glo_dsl.editor.outline import Definition, Outline
from glo_dsl.errors import Source
from glo_dsl.ir.ops import UNKNOWN, Op
from glo_dsl.ir.table import FUNCTIONS, OPS
from glo_dsl.lang.comments import doc_above
from glo_dsl.lang.syntax import Node


@dataclass(frozen=True, slots=True)
class Signature:
    """A function as its caller sees it.

    Attributes:
        kind: loss, def or operator.
        arguments: as declared, such as `z: real[C]`.
        settings: the parameters of a loss, such as `gamma = 2 in [0, 8]`.
        doc: Markdown.
        origin: where it is defined, in words.
    """

    kind: str
    name: str
    arguments: tuple[str, ...]
    settings: tuple[str, ...] = ()
    doc: str = ""
    origin: str = ""

    def __str__(self) -> str:
        settings = f"; {', '.join(self.settings)}" if self.settings else ""
        return f"{self.name}({', '.join(self.arguments)}{settings})"

    def setting(self, name: str) -> str | None:
        """The declaration of a parameter."""
        return dict(zip(self.setting_names, self.settings, strict=True)).get(name)

    @property
    def setting_names(self) -> tuple[str, ...]:
        return tuple(text.split("=")[0].strip() for text in self.settings)

    @property
    def written(self) -> str:
        """As it stands in a text; an operator has no definition there."""
        return str(self) if self.kind == "operator" else f"{self.kind} {self}"


def described(signature: Signature) -> str:
    """A signature and its documentation as Markdown."""
    block = f"```glo\n{signature.written}\n```"
    return "\n\n".join(part for part in (block, signature.doc, f"*{signature.origin}*") if part)


def signature_of(outline: Outline, definition: Definition, origin: str) -> Signature:
    """The signature of a def or a loss, as far as it is written.

    >>> from glo_dsl.editor.outline import outline_of
    >>> outline = outline_of("# Squared error.\\nloss mse(p: real, y: real) = (p - y) ^ 2")
    >>> print(signature_of(outline, outline.functions["mse"], ""))
    mse(p: real, y: real)
    """
    assert definition.name is not None
    items = [(item.kind, outline.source_of(item.words)) for item in definition.items]
    return Signature(
        definition.kind, definition.name.text,
        tuple(text for kind, text in items if kind != "parameter"),
        tuple(text for kind, text in items if kind == "parameter"),
        documentation(outline.text, definition), origin,
    )  # fmt: skip


def documentation(text: str, definition: Definition) -> str:
    """The comment block above a definition."""
    place: Node = Tree("place", [])
    place.meta.start_pos = definition.start
    return doc_above(Source(text), place)


@cache
def operators(word: str) -> tuple[Signature, ...]:
    """The rows of the operator table that a word calls: `max` has one for a row and one for two numbers."""
    if word not in FUNCTIONS:
        return ()
    return tuple(_operator(op) for op in OPS.values() if op.call == word)


def _operator(op: Op) -> Signature:
    return Signature("operator", op.call, tuple("abc"[: op.arity]), (), operator_doc(op), "an operator of the language")


def operator_doc(op: Op) -> str:
    """What the table says of an operator, as Markdown."""
    lines = [op.about] if op.about else []
    slopes = [(letter, text) for letter, text in zip("abc", op.vjp, strict=False) if text and text != UNKNOWN]
    if slopes:
        among = ", ".join(f"by {letter} `{text}`" if op.arity > 1 else f"`{text}`" for letter, text in slopes)
        lines.append(f"derivative ({'`out` is the value, ' if 'out' in among else ''}`g` from above): {among}")
    if op.domain:
        lines.append(f"finite for `{op.domain}`")
    return "  \n".join(lines)
