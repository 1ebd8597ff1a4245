r"""Losses and expressions as mathematics in LaTeX, by the operator table's `latex` column.

A value per class is written at a class index: inside a sum at the index that the sum binds, elsewhere at a free one.
What works on a whole row, such as softmax, shows the row without an index.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

from glo_dsl.ir.expr import POSITION, Apply, Const, Expr, Hole, Var, size, variables, walk
from glo_dsl.lang.latex_names import Name, Names, escaped
from glo_dsl.lang.latex_pieces import WITH_SIGNS, Piece, called, choice, constant, filled, written
from glo_dsl.lang.loss import Loss
from glo_dsl.lang.sharing import shared_parts
from glo_dsl.lang.show import LARGE

SMALL = 4
"""Shared parts of fewer nodes are repeated rather than named."""

Index = str | None
"""What a value per class is written at, or None for the row as a whole."""


def latex(of: Loss | Expr) -> str:
    r"""A loss as `name(inputs; params) = value`, or an expression, in LaTeX for display.

    Where a tree has more than 400 nodes its shared parts are named and defined below it, in `aligned`.

    >>> from glo_dsl.lang.definitions import losses_of
    >>> text = "loss focal(z: real[C], t: class[C]; gamma = 2) = -(1 - softmax(z)[t]) ^ gamma * log(softmax(z)[t])"
    >>> print(latex(losses_of(text)["focal"]).replace(r"\operatorname", ""))
    \mathrm{focal}(z, t; \gamma) = -(1 - {softmax}(z)_{t})^{\gamma} \log({softmax}(z)_{t})
    """
    if isinstance(of, Expr):
        return _display("", of, Names(v.name for v in variables((of,)) if v is not POSITION))
    names = _names(of)
    params = "; " * bool(of.params) + ", ".join(names[p.name].at() for p in of.params)
    inputs = ", ".join(names[v.name].at() for v in of.inputs)
    return _display(rf"\mathrm{{{escaped(of.name)}}}({inputs}{params}) = ", of.expr, names)


def derivative_latex(loss: Loss, variable: Var, derivative: Expr) -> str:
    """What the derivative of a loss by one of its inputs or parameters is, in LaTeX for display.

    Of a row it is that by the entry at a free class index.
    """
    names = _names(loss)
    index = next(names.indices()) if variable.type.per_class else None
    below = rf"\partial {names[variable.name].at(index)}"
    return _display(rf"\frac{{\partial\, \mathrm{{{escaped(loss.name)}}}}}{{{below}}} = ", derivative, names, index)


def _names(loss: Loss) -> Names:
    return Names([*(v.name for v in loss.inputs), *(p.name for p in loss.params)])


def _display(left: str, expr: Expr, names: Names, free: Index = None) -> str:
    printer = _Printer(expr, names, free)
    body, definitions = printer.body(), printer.definitions
    if not definitions:
        return left + body
    first, *others = [rf"{name} &= {text}" for name, text in definitions]
    lines = [f"{left[:-2]}&= {body}" if left else f"& {body}", rf"\text{{where}} \quad {first}", *others]
    return r"\begin{aligned}" + "\n" + " \\\\\n".join(lines) + "\n" + r"\end{aligned}"


class _Printer:
    """Writes one expression; a request is for a node at an index."""

    def __init__(self, root: Expr, names: Names, free: Index = None) -> None:
        self.root, self.names = root, names
        self._shared = shared_parts(root, SMALL) if size(root) > LARGE else []
        self._named: dict[Expr, Name] = {}
        self._done: dict[tuple[Expr, Index], Piece] = {}
        self._heights = _heights(root, set(self._shared))
        by_class = root.type.per_class or free is not None or any(part.type.per_class for part in self._shared)
        self._indices = list(islice(names.indices(), 1 + max(self._heights.values())))
        self._free, self._bound = self._indices[0], self._indices[by_class:]
        self.definitions: list[tuple[str, str]] = []

    def body(self) -> str:
        """The text of the expression, after those of the parts that are named."""
        parts = self.names.parts()
        for part in self._shared:
            index = self._free if part.type.per_class else None
            text = self._write(part, index).text
            self._named[part] = next(parts)
            del self._done[part, index]
            self.definitions.append((self._named[part].at(index), text))
        return self._write(self.root, self._free if self.root.type.per_class else None).text

    def _write(self, root: Expr, index: Index) -> Piece:
        """Arguments before users, without recursion."""
        stack = [(root, index)]
        while stack:
            node, at = stack[-1]
            waiting = [key for key in self._requests(node, at) if key not in self._done]
            if waiting:
                stack.extend(reversed(waiting))
            else:
                stack.pop()
                self._done[node, at] = self._piece(node, at)
        return self._done[root, index]

    def _requests(self, node: Expr, index: Index) -> list[tuple[Expr, Index]]:
        if node in self._named or not isinstance(node, Apply | Hole):
            return []
        if isinstance(node, Hole) or node.op.elementwise:
            return [_request(arg, index) for arg in node.args]
        if node.op.reduces:
            return [_request(node.args[0], self._index_of(node))]
        if node.op.shape == "gather":
            place = _request(node.args[1], None)
            return [place, *([_request(node.args[0], self._done[place].text)] if place in self._done else [])]
        return [_request(node.args[0], None)]

    def _index_of(self, reduction: Expr) -> str:
        return self._bound[self._heights[reduction] - 1]

    def _piece(self, node: Expr, index: Index) -> Piece:
        if node in self._named:
            return Piece(self._named[node].at(index))
        match node:
            case Const():
                return constant(node)
            case Var() if node is POSITION:
                return Piece(index or self._free)
            case Var():
                return Piece(self.names[node.name].at(index))
            case Hole():
                name = Names([node.name])[node.name].at("?")
                return called(name, [self._done[key] for key in self._requests(node, index)])
            case Apply():
                return self._application(node, index)
        raise AssertionError(node)

    def _application(self, node: Apply, index: Index) -> Piece:
        op, args = node.op, [self._done[key] for key in self._requests(node, index)]
        if op.shape == "gather":
            return args[1]
        if op.shape == "onehot":
            of = args[0].text if index is None else f"{index} = {args[0].text}"
            return filled(*op.latex, [Piece(of)], {})
        if op.name == "select":
            return choice(op, args)
        if op.name in WITH_SIGNS:
            return WITH_SIGNS[op.name](op, args)
        words = {"i": self._index_of(node)} if op.reduces else {}
        found = written(op, args, words)
        return replace(found, text=f"{found.text}_{{{index}}}") if op.shape == "row" and index is not None else found


def _request(node: Expr, index: Index) -> tuple[Expr, Index]:
    return node, index if node.type.per_class else None


def _heights(root: Expr, named: set[Expr]) -> dict[Expr, int]:
    """How many reductions stand within one another at most under each node, not looking into named parts."""
    heights: dict[Expr, int] = {}
    for node in walk((root,)):
        inside = max((0 if arg in named else heights[arg] for arg in node.args), default=0)
        heights[node] = inside + (isinstance(node, Apply) and node.op.reduces)
    return heights
