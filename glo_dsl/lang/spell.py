"""How definitions are written: a tree with all its tokens to a document, its comments in their places."""

from __future__ import annotations

from collections.abc import Sequence

from lark import Token, Tree

from glo_dsl.lang.layout import CUT, HARD, SPACE, Doc, Fill, Group, Nest
from glo_dsl.lang.spell_expressions import STEP, Remarks, Spelling, as_token, place_of, separate
from glo_dsl.lang.syntax import Node
from glo_dsl.lang.trampoline import Steps, run

ALIGNED = 32
"""Columns that a list of inputs may stand to the right, below the first of them."""


def spell(tree: Node, remarks: Remarks) -> Doc:
    """The document of one definition.

    >>> from glo_dsl.errors import Source
    >>> from glo_dsl.lang.concrete import concrete
    >>> from glo_dsl.lang.layout import render
    >>> render(spell(concrete(Source("def f(a,b)=a*-b")).children[0], Remarks()))
    (['def f(a, b) = a * -b'], [])
    """
    return run(_Definitions(remarks).doc(tree))


class _Definitions(Spelling):
    def _import_doc(self, tree: Node) -> Steps[Doc]:
        return self.spaced(tree.children)

    def _def_doc(self, tree: Node) -> Steps[Doc]:
        """A `def` or a `loss`: all on one line, or the body below."""
        opened, closed, equal = (place_of(tree, mark) for mark in ("(", ")", "="))
        word, name = (as_token(child) for child in tree.children[:2])
        declared = yield self._declared(tree.children[opened : closed + 1], len(word) + len(name) + 2)
        head: Doc = (self.mark(word), " ", self.mark(name), declared, " ", self.mark(tree.children[equal]))
        body: list[Doc] = [(yield self._body(tree.children[equal + 1]))]
        for per in tree.children[equal + 2 :]:
            body.append((yield self.doc(per)))
        return Group((head, Nest(STEP, (SPACE, separate(body)))))

    _loss_doc = _def_doc

    def _declared(self, nodes: Sequence[Node | Token], column: int) -> Steps[Doc]:
        """Inputs and parameters in their brackets, each of the two filling lines."""
        lists: list[Doc] = []
        for node in nodes[1:-1]:
            if isinstance(node, Token):  # the semicolon
                lists[-1:] = [(*lists[-1:], self.mark(node))]
            else:
                lists.append(Fill(tuple((yield self.items(node.children)))))
        inside = separate(lists)
        shifted = Nest(column, inside) if column <= ALIGNED else Nest(2 * STEP, (CUT, Group(inside)))
        return Group((self.mark(nodes[0]), shifted, self.mark(nodes[-1])))

    def _body(self, tree: Node | Token) -> Steps[Doc]:
        """What a definition means; a `let` there always ends its lines."""
        is_let = isinstance(tree, Tree) and tree.data == "let"
        spelled: Doc = yield self.lets(tree, HARD) if is_let else self.doc(tree)
        return spelled

    def _per_doc(self, tree: Node) -> Steps[Doc]:
        return self.spaced(tree.children)

    def _input_doc(self, tree: Node) -> Steps[Doc]:
        name, colon, *kind = tree.children
        return (self.marks([name, colon]), " ", (yield self.spaced(kind)))

    def _type_doc(self, tree: Node) -> Steps[Doc]:
        shared = [child for child in tree.children if as_token(child).type == "SHARED"]
        return (self.marks(shared), " " * len(shared), self.marks(tree.children[len(shared) :]))
        yield

    def _param_doc(self, tree: Node) -> Steps[Doc]:
        return self.spaced(tree.children)

    _setting_doc = _param_doc

    def _domain_doc(self, tree: Node) -> Steps[Doc]:
        word, lower, low, comma, high, upper = tree.children
        below: Doc = (self.mark(word), " ", (yield self.doc(lower)), (yield self.doc(low)), self.mark(comma))
        return (below, " ", (yield self.doc(high)), (yield self.doc(upper)))

    def _law_doc(self, tree: Node) -> Steps[Doc]:
        word, loss, dot, name, colon, claim, *binders = tree.children
        head: Doc = (self.mark(word), " ", self.marks([loss, dot, name, colon]))
        stated: Doc = Group((head, Nest(STEP, (SPACE, (yield self.doc(claim))))))
        for binder in binders[1:]:
            assert isinstance(binder, Tree)
            declared = Fill(tuple((yield self.items(binder.children))))
            bound: Doc = (SPACE, self.mark(binders[0]), " ", Nest(2 * STEP, declared))
            stated = Group((stated, Nest(STEP, bound)))
        return stated

    def _example_doc(self, tree: Node) -> Steps[Doc]:
        word, claim, *tolerance = tree.children
        parts: list[Doc] = [(yield self.doc(claim))]
        if tolerance:
            parts.append((yield self.spaced(tolerance)))
        return Group((self.mark(word), " ", Nest(STEP, separate(parts))))
