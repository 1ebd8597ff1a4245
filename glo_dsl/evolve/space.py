"""A loss with a hole as a search space: its terms, and the losses that fillings make of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lark import Token, Tree

from glo_dsl.errors import GloError
from glo_dsl.ir.expr import Apply, Const, Expr, Hole, Var, apply, substitute, var, walk
from glo_dsl.ir.types import UNIFORM
from glo_dsl.lang.definitions import losses_of
from glo_dsl.lang.elaborate import parse_expression
from glo_dsl.lang.loss import Loss, Param
from glo_dsl.lang.show import number, show
from glo_dsl.lang.syntax import Node, parse


@dataclass(frozen=True)
class Space:
    """What search varies: expressions over `terms`, one variable for each term listed in the hole.

    A genotype is such an expression; `fill` makes the loss that it stands for.
    """

    loss: Loss
    hole: Hole
    terms: tuple[Var, ...]

    def fill(self, genotype: Expr, params: Sequence[Param] = ()) -> Loss:
        """The loss with the genotype in place of the hole, and further parameters that the genotype uses."""
        (filling,) = substitute((genotype,), dict(zip(self.terms, self.hole.args)))
        (expr,) = substitute((self.loss.expr,), {self.hole: filling})
        return replace(self.loss, params=(*self.loss.params, *params), expr=expr, text=f"# f = {show(genotype)}")

    def read(self, text: str) -> Expr:
        """The genotype that `show` wrote.

        Raises:
            GloError: it is none of this space.
        """
        return parse_expression(text, {term.name: term for term in self.terms}, "a filling")

    def text(self, genotype: Expr, params: Sequence[Param] = (), comment: str = "", name: str = "best") -> str:
        """The filled loss as a `.glo` text, written around the genotype as the search space was.

        Raises:
            AssertionError: the text does not mean what `fill` means; it is read back to make sure.
        """
        head = _header(self.loss, params, name)
        body = _body_with(self.loss, self._filling_text(genotype))
        remark = "".join(f"# {line}\n" for line in comment.splitlines())
        text = f"{remark}{head} =\n  {body}\n"
        assert losses_of(self._definitions() + text)[name].expr is self.fill(genotype, params).expr, text
        return self._definitions() + text

    def _filling_text(self, genotype: Expr) -> str:
        """The genotype in the words of the file; terms that are no plain names are bound first."""
        given = [f"{t.name} = {show(a)}" for t, a in zip(self.terms, self.hole.args) if t.name.startswith("term_")]
        used = {node for node in walk((genotype,)) if isinstance(node, Var)}
        bound = [
            text for text, term in zip(given, (t for t in self.terms if t.name.startswith("term_"))) if term in used
        ]
        return f"let {', '.join(bound)} in {show(genotype)}" if bound else show(genotype)

    def _definitions(self) -> str:
        """What the body may call: `import std`, the `def`s of the file, and those of its losses that it does call."""
        text = self.loss.source.text
        nodes = [n for n in parse(self.loss.source).children if isinstance(n, Tree)]
        called = _called_losses(self.loss, nodes)
        kept = [n for n in nodes if n.data in ("import", "def") or (n.data == "loss" and str(n.children[0]) in called)]
        return "".join(text[n.meta.start_pos : n.meta.end_pos] + "\n\n" for n in kept)


def space_of(loss: Loss) -> Space:
    """The search space that a loss with one hole is.

    Raises:
        GloError: it has no hole, or several.
    """
    if len(loss.holes) != 1:
        found = "no hole" if not loss.holes else f"{len(loss.holes)} holes"
        raise GloError(
            f"{loss.name} has {found}; a search space has one", loss.span, "write ?f(x, y) for it", loss.source
        )
    if any(str(n.children[0]) != "std" for n in parse(loss.source).find_data("import")):
        hint = "copy what it uses into the file; import std is fine"
        message = "a search space cannot import files: what is found has to stand by itself"
        raise GloError(message, loss.span, hint, loss.source)
    hole = loss.holes[0]
    labels = _labels(_hole_tree(loss), len(hole.args))
    return Space(loss, hole, tuple(var(label, arg.type) for label, arg in zip(labels, hole.args)))


def _called_losses(loss: Loss, nodes: Sequence[Node]) -> set[str]:
    """The losses of the file that a loss calls, directly or through others."""
    bodies = {str(n.children[0]): n for n in nodes if n.data in ("loss", "def")}
    found: set[str] = set()
    waiting = [loss.name]
    while waiting:
        calls = bodies[waiting.pop()].find_data("call")
        words = {str(call.children[0]) for call in calls} & bodies.keys() - found
        found |= words
        waiting += words
    return {name for name in found if bodies[name].data == "loss"}


def with_coefficients(genotype: Expr, prefix: str = "c") -> tuple[Expr, tuple[Param, ...]]:
    """The genotype with a coefficient on every number of its tree, all 1: what GLO hands to CMA-ES.

    A literal becomes its coefficient, with the literal as default. (Gonzalez & Miikkulainen 2019, section 4.)
    """
    params: list[Param] = []

    def coefficient(default: float) -> Var:
        params.append(Param(var(f"{prefix}{len(params)}", UNIFORM), default))
        return params[-1].var

    def grow(node: Expr) -> Expr:
        if isinstance(node, Const):
            return coefficient(node.value) if node.type.kind == "real" else node
        inner = apply(node.op, *(grow(a) for a in node.args)) if isinstance(node, Apply) else node
        return apply("mul", coefficient(1.0), inner) if node.type.kind == "real" else inner

    return grow(genotype), tuple(params)


def _hole_tree(loss: Loss) -> Node:
    tree = _loss_tree(loss)
    return next(iter(tree.find_data("hole")))


def _loss_tree(loss: Loss) -> Node:
    tree = parse(loss.source)
    return next(
        n for n in tree.children if isinstance(n, Tree) and n.data == "loss" and str(n.children[0]) == loss.name
    )


def _labels(tree: Node, count: int) -> list[str]:
    """What the terms are called: by their name where the file gives one."""
    arguments = tree.children[1]
    assert isinstance(arguments, Tree)
    labels: list[str] = []
    for n, child in enumerate(a for a in arguments.children if a is not None):
        plain = isinstance(child, Tree) and child.data == "name"
        label = str(child.children[0]) if plain and isinstance(child, Tree) else f"term_{n}"
        labels.append(label if label not in labels else f"term_{n}")
    return labels[:count]


def _header(loss: Loss, params: Sequence[Param], name: str) -> str:
    tree = _loss_tree(loss)
    inputs, declared = tree.children[1:3]
    text = loss.source.text
    parts = [_slice(text, inputs)]
    bounds = [_slice(text, declared)] if isinstance(declared, Tree) else []
    bounds += [f"{p.name} = {number(p.default)}" for p in params]
    return f"loss {name}({'; '.join([*parts, *([', '.join(bounds)] if bounds else [])])})"


def _body_with(loss: Loss, filling: str) -> str:
    """The body as written, with the hole replaced."""
    body = _loss_tree(loss).children[3]
    assert isinstance(body, Tree)
    hole = _hole_tree(loss)
    text = loss.source.text
    return f"{text[body.meta.start_pos : hole.meta.start_pos]}({filling}){text[hole.meta.end_pos : body.meta.end_pos]}"


def _slice(text: str, node: Node | Token | None) -> str:
    return text[node.meta.start_pos : node.meta.end_pos].rstrip(" ,\n") if isinstance(node, Tree) else ""
