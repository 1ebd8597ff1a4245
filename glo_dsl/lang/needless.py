"""What of a text says nothing: commas behind the last of a list, brackets that are doubled or around a whole."""

from __future__ import annotations

from lark import Token, Tree

from glo_dsl.lang.syntax import Node

LISTS = frozenset({"names", "inputs", "params", "arguments", "settings"})

ATOMS = frozenset({"number", "name", "true", "false", "call", "hole", "row", "gather", "group"})

SLOTS = frozenset({
    "def", "loss", "per", "law", "example", "param", "setting", "domain", "let", "binding", "select", "arguments",
    "row", "gather", "group",
})  # fmt: skip
"""Trees with whole expressions in them, as opposed to operands; of a gather that is the index."""

ENCLOSED = frozenset({"arguments", "row", "gather", "group"})
"""Slots whose end is a bracket or a comma of their own."""

TAILED = frozenset({"def", "loss", "let", "select"})
"""Slots whose last expression ends with them."""


def without_needless(tree: Node) -> Node:
    """The tree of all tokens, changed in place, without needless commas and brackets; what it means stays the same.

    Brackets between operators stay where they are, as the author has reasons for them.
    """
    for node in tree.iter_subtrees():  # the innermost first
        _drop_last_comma(node)
        for place, child in enumerate(node.children):
            if isinstance(child, Tree) and child.data == "group" and _needless(node, place, child.children[1]):
                node.children[place] = child.children[1]
    return tree


def _drop_last_comma(node: Node) -> None:
    place = -1 if node.data in LISTS else -2 if node.data == "row" else None
    if place is not None and node.children[place] == ",":
        del node.children[place]


def _needless(parent: Node, place: int, inside: Node | Token) -> bool:
    """Whether brackets around `inside` say nothing at this place of `parent`."""
    assert isinstance(inside, Tree)
    if inside.data in ATOMS:
        return not (parent.data == "neg" and _literal(inside))
    if parent.data not in SLOTS or (parent.data == "gather" and place == 0):
        return False
    if inside.data not in ("let", "select"):
        return True
    return parent.data in ENCLOSED or (parent.data in TAILED and place == len(parent.children) - 1)


def _literal(tree: Node) -> bool:
    """What a minus would become one number with: -(2) is minus applied to 2, -2 is a literal."""
    return tree.data == "number" or (tree.data == "name" and tree.children[0] == "inf")
