"""How expressions are written: a tree with all its tokens to a document, its comments in their places."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from lark import Token, Tree

from glo_dsl.ir.table import OPS
from glo_dsl.lang.layout import CUT, SPACE, Doc, Fill, Group, Line, Nest, Remark
from glo_dsl.lang.syntax import Node
from glo_dsl.lang.trampoline import Steps

STEP = 2
"""Columns by which the inside of something stands further right."""

LEAVES = frozenset({"number", "name", "true", "false", "closed", "open"})


@dataclass(frozen=True, slots=True)
class Remarks:
    """The comments inside of a definition by the offset of a token: those above it, and the one behind it."""

    above: dict[int, list[str]] = field(default_factory=dict)
    behind: dict[int, str] = field(default_factory=dict)


class Spelling:
    """One method for each tree that is more than operators between operands, named after it."""

    def __init__(self, remarks: Remarks) -> None:
        self.remarks = remarks

    def doc(self, node: Node | Token) -> Steps[Doc]:
        """The document of a tree or token."""
        if isinstance(node, Token):
            return self.mark(node)
        if node.data in LEAVES:
            return self.mark(node.children[0])
        power = _power(node)
        if power is not None:
            spelled: Doc = yield self._chain(node, power)
        else:
            method: Callable[[Node], Steps[Doc]] = getattr(self, f"_{node.data}_doc")
            spelled = yield method(node)
        return spelled

    def mark(self, node: Node | Token) -> Doc:
        """A token with its comments."""
        start = start_of(as_token(node))
        above: list[Doc] = [Remark(text, alone=True) for text in self.remarks.above.get(start, ())]
        behind: list[Doc] = [Remark(self.remarks.behind[start], alone=False)] if start in self.remarks.behind else []
        return (*above, str(node), *behind)

    def marks(self, tokens: Iterable[Node | Token]) -> Doc:
        """Tokens side by side."""
        return tuple(self.mark(token) for token in tokens)

    def spaced(self, nodes: Iterable[Node | Token]) -> Steps[Doc]:
        """What stands on one line with blanks between."""
        found: list[Doc] = []
        for node in nodes:
            found += [" ", (yield self.doc(node))]
        return tuple(found[1:])

    def items(self, nodes: Iterable[Node | Token]) -> Steps[list[Doc]]:
        """The parts of a list, each with the comma behind it."""
        found: list[Doc] = []
        for node in nodes:
            if isinstance(node, Token) and node.type == "COMMA":
                found[-1] = (found[-1], self.mark(node))
            else:
                found.append((yield self.doc(node)))
        return found

    def lets(self, tree: Node | Token, end: Line) -> Steps[Doc]:
        """One `let` after another, each with `end` behind it, and what they are for."""
        lines: list[Doc] = []
        while isinstance(tree, Tree) and tree.data == "let":
            word, *bindings, inside, tree = tree.children
            bound = separate((yield self.items(bindings)))
            lines += [Group((self.mark(word), " ", Nest(2 * STEP, bound), " ", self.mark(inside))), end]
        return (*lines, (yield self.doc(tree)))

    def _let_doc(self, tree: Node) -> Steps[Doc]:
        return Group((yield self.lets(tree, SPACE)))

    def _binding_doc(self, tree: Node) -> Steps[Doc]:
        name, equal, value = tree.children
        head: Doc = (self.mark(name), " ", self.mark(equal))
        spelled: Doc = yield self.doc(value)
        bracketed = isinstance(value, Tree) and value.data in ("call", "hole", "row", "group")
        return (head, " ", spelled) if bracketed else Group((head, Nest(STEP, (SPACE, spelled))))

    def _select_doc(self, tree: Node | Token) -> Steps[Doc]:
        """A choice with all that follow in its last branch: line up as if, else if, ..., else."""
        arms: list[Doc] = []
        before: Doc = ()
        while isinstance(tree, Tree) and tree.data == "select":
            word, condition, then, value, otherwise, tree = tree.children
            asked: Doc = (before, self.mark(word), " ", Nest(2 * STEP, (yield self.doc(condition))))
            chosen: Doc = (self.mark(then), " ", Nest(STEP, (yield self.doc(value))))
            arms += [Group((asked, Nest(STEP, (SPACE, chosen)))), SPACE]
            before = (self.mark(otherwise), " ")
        return Group((*arms, before, Nest(STEP, (yield self.doc(tree)))))

    def _chain(self, tree: Node, power: int) -> Steps[Doc]:
        """Operators of one binding power; lines end before them."""
        first, pairs = _operands(tree, power)
        parts: list[Doc] = [(yield self._operand(first))]
        for sign, operand in pairs:
            parts += [SPACE, self.mark(sign), " ", (yield self._operand(operand))]
        return Group(tuple(parts))

    def _operand(self, node: Node | Token) -> Steps[Doc]:
        """An operand; a chain that is one stands further right, where its signs are not taken for those around it."""
        spelled: Doc = yield self.doc(node)
        while isinstance(node, Tree) and node.data in ("neg", "not"):
            node = node.children[1]
        return Nest(STEP, spelled) if isinstance(node, Tree) and _power(node) is not None else spelled

    def _neg_doc(self, tree: Node) -> Steps[Doc]:
        return (self.mark(tree.children[0]), (yield self.doc(tree.children[1])))

    def _not_doc(self, tree: Node) -> Steps[Doc]:
        return self.spaced(tree.children)

    def _gather_doc(self, tree: Node) -> Steps[Doc]:
        row, opened, index, closed = tree.children
        spelled: Doc = yield self.doc(row)
        return (spelled, self._bracketed(opened, (yield self.doc(index)), closed))

    def _group_doc(self, tree: Node) -> Steps[Doc]:
        opened, inside, closed = tree.children
        return self._bracketed(opened, (yield self.doc(inside)), closed)

    def _row_doc(self, tree: Node) -> Steps[Doc]:
        opened, *numbers, closed = tree.children
        return self._bracketed(opened, Fill(tuple((yield self.items(numbers)))), closed)

    def _call_doc(self, tree: Node) -> Steps[Doc]:
        place = place_of(tree, "(")
        items: list[Doc] = []
        for node in tree.children[place + 1 : -1]:
            if isinstance(node, Tree):
                items += yield self.items(node.children)
            else:  # the semicolon
                items[-1:] = [(*items[-1:], self.mark(node))]
        inside = self._bracketed(tree.children[place], separate(items), tree.children[-1])
        return (self.marks(tree.children[:place]), inside)

    _hole_doc = _call_doc

    def _bracketed(self, opened: Node | Token, inside: Doc, closed: Node | Token) -> Doc:
        cut: Doc = CUT if inside else ()
        return Group((self.mark(opened), Nest(STEP, (cut, inside)), cut, self.mark(closed)))


def separate(docs: Sequence[Doc]) -> Doc:
    """Documents with places between them where lines may end.

    >>> separate(["a,", "b"])
    ('a,', Line(flat=' ', hard=False), 'b')
    """
    return tuple(part for doc in docs for part in (SPACE, doc))[1:]


def start_of(token: Token) -> int:
    """The offset of a token in its text."""
    return token.start_pos or 0


def as_token(node: Node | Token) -> Token:
    """A child that the grammar says is a token."""
    assert isinstance(node, Token)
    return node


def place_of(tree: Node, mark: str) -> int:
    """Which of the children is the first token of this text."""
    return next(place for place, child in enumerate(tree.children) if child == mark)


def _operands(tree: Node, power: int) -> tuple[Node | Token, list[tuple[Token, Node | Token]]]:
    """The first operand of a chain, and each sign with the operand behind it."""
    pairs: list[tuple[Token, Node | Token]] = []
    node: Node | Token = tree
    if tree.data == "pow":  # from right to left
        first = tree.children[0]
        while isinstance(node, Tree) and node.data == "pow":
            _, sign, node = node.children
            pairs.append((as_token(sign), node.children[0] if isinstance(node, Tree) and node.data == "pow" else node))
        return first, pairs
    while isinstance(node, Tree) and _power(node) == power:
        node, sign, operand = node.children
        pairs.append((as_token(sign), operand))
    return node, pairs[::-1]


def _power(tree: Node) -> int | None:
    """The binding power of an operator between two operands; None of anything else."""
    op = OPS.get(tree.data)
    return op.notation[1] if op is not None and op.notation is not None and op.arity == 2 else None
