"""`glo explain`: what a loss is, takes, gives, and costs, and its derivatives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from glo_dsl.cli.compile import choose
from glo_dsl.cli.files import read_losses
from glo_dsl.errors import GloError
from glo_dsl.ir.bounds import ranges
from glo_dsl.ir.expr import Apply, Expr, Var, walk
from glo_dsl.ir.types import ANY, UNIT
from glo_dsl.lang.format import format_text
from glo_dsl.lang.latex import derivative_latex, latex
from glo_dsl.lang.loss import Loss
from glo_dsl.lang.readable import readable
from glo_dsl.lang.show import number, show
from glo_dsl.passes.pipeline import derive, differentiable, whole_program
from glo_dsl.passes.simplify import simplify

WIDTH = 100
"""Columns of a table where there is no terminal."""


def explain_command(
    file: Annotated[Path, typer.Argument(help="The .glo file.", show_default=False)],
    loss: Annotated[str, typer.Option(help="Which loss of the file; else all of them.")] = "",
    with_latex: Annotated[bool, typer.Option("--latex", help="Show value and derivatives in LaTeX as well.")] = False,
) -> None:
    """Explain losses: what they take, the range of their value, their derivatives, what they cost."""
    losses = read_losses(file)
    chosen = list(losses.values()) if len(losses) > 1 and not loss else [choose(losses, file, loss)]
    console = Console()
    if not console.is_terminal:
        console.width = WIDTH
    for place, each in enumerate(chosen):
        if place:
            _say(console, "")
            console.rule(characters="-")
            _say(console, "")
        _explain(console, each, with_latex)


def _explain(console: Console, loss: Loss, with_latex: bool) -> None:
    if loss.doc:
        _say(console, loss.doc + "\n")
    _say(console, f"{signature(loss)}\n")
    console.print(_inputs(loss))
    _say(console, "")
    found = derivatives(loss)
    for title, text in _facts(loss, found.value):
        _say(console, f"{title:<9}{text}")
    _say(console, "\n" + "\n\n".join(_formulas(loss, found)))
    if with_latex:
        _say(console, "\n" + "\n\n".join(_latex(loss, found)))


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def signature(loss: Loss) -> str:
    """The head of a loss, over as many lines as it needs.

    >>> from glo_dsl.lang.definitions import losses_of
    >>> signature(losses_of("loss f(q:prob[C];k=2 in [0,8])=sum(q)*k")["f"])
    'loss f(q: prob[C]; k = 2 in [0, 8])'
    """
    inputs = ", ".join(f"{v.name}: {_type(v)}{_bounds(v)}" for v in loss.inputs)
    params = ", ".join(f"{p.name} = {number(p.default)}{_bounds(p.var)}" for p in loss.params)
    head = f"loss {loss.name}({inputs}{'; ' * bool(params)}{params})"
    return format_text(f"{head} = 0").rstrip().removesuffix("0").rstrip().removesuffix("=").rstrip()


def _type(v: Var) -> str:
    kind = "prob[C]" if v.simplex else str(v.type)
    return kind if v.type.per_sample or not v.type.per_class else f"shared {kind}"


def _bounds(v: Var) -> str:
    return "" if v.domain == ANY or (v.simplex and v.domain == UNIT) else f" in {v.domain}"


def _inputs(loss: Loss) -> Table:
    """Inputs and parameters: what they are, what they vary over, what is promised of them."""
    table = Table(box=None, pad_edge=False)
    for column in ("name", "type", "one for each", "domain", "default"):
        table.add_column(column, overflow="fold")
    for v in loss.inputs:
        table.add_row(v.name, _type(v), _axes(v), _domain(v), "")
    for p in loss.params:
        table.add_row(p.name, "parameter", "call", _domain(p.var), number(p.default))
    return table


def _axes(v: Var) -> str:
    if v.type.per_class:
        return "sample and class" if v.type.per_sample else "class, the same for all samples"
    return "sample"


def _domain(v: Var) -> str:
    if v.type.kind == "class":
        return "0 to C - 1"
    if v.type.kind == "bool":
        return "true, false"
    return "any number" if v.domain == ANY else str(v.domain)


@dataclass(frozen=True)
class Derivatives:
    """The simplified value of a loss, and for each variable its derivative or why there is none."""

    value: Expr
    by: dict[Var, Expr | GloError]


def derivatives(loss: Loss) -> Derivatives:
    """What can be derived of a loss; one with holes is as it is written, and has no derivatives."""
    if loss.holes:
        return Derivatives(loss.expr, {})
    wanted = differentiable(loss)
    try:
        together = derive(loss, [v.name for v in wanted])
        return Derivatives(together.value, dict(together.gradients))
    except GloError:
        (value,) = simplify((loss.expr,))
        return Derivatives(value, {v: _derivative(loss, v) for v in wanted})


def _derivative(loss: Loss, v: Var) -> Expr | GloError:
    try:
        return derive(loss, [v.name]).gradients[v]
    except GloError as error:
        return error


def _facts(loss: Loss, value: Expr) -> Iterator[tuple[str, str]]:
    """Properties of a loss in one line each."""
    for hole in loss.holes:
        yield "hole", f"?{hole.name}, an expression over {', '.join(show(arg) for arg in hole.args)}"
    if loss.per is not None:
        yield "divisor", f"{show(loss.per)} for each row of a mean"
    if loss.holes:
        return
    intervals = ranges((value, loss.expr))
    yield "range", f"within {intervals[value].meet(intervals[loss.expr])}"
    yield from _not_smooth(value)
    yield "passes", _passes(loss)


def _not_smooth(value: Expr) -> Iterator[tuple[str, str]]:
    """The words of the operators over numbers that have kinks, and of those that have jumps."""
    found: dict[str, list[str]] = {"kinks": [], "jumps": []}
    for node in walk((value,)):
        if isinstance(node, Apply) and node.op.smooth != "smooth" and node.type.kind == "real":
            words = found[f"{node.op.smooth}s"]
            words += [node.op.call] * (node.op.call not in words)
    for kind, words in found.items():
        remark = " (an if has none where its sides meet)" if "if" in words else ""
        yield kind, ", ".join(words) + remark if words else "none"


def _passes(loss: Loss) -> str:
    try:
        program = whole_program(loss)
    except GloError as error:
        return f"cannot be compiled: {error.message}"
    passes = sum(phase.passes for phase in program.phases)
    if not program.by_rows:
        return "none: there are no rows, value and derivatives are computed element by element"
    return f"{passes} over each row, for the value and all derivatives"


def _formulas(loss: Loss, found: Derivatives) -> Iterator[str]:
    yield readable(loss.name, found.value)
    for v, derivative in found.by.items():
        label = f"d {loss.name} / d {v.name}"
        yield _refusal(label, derivative) if isinstance(derivative, GloError) else readable(label, derivative)


def _latex(loss: Loss, found: Derivatives) -> Iterator[str]:
    yield latex(replace(loss, expr=found.value))
    for v, derivative in found.by.items():
        if not isinstance(derivative, GloError):
            yield derivative_latex(loss, v, derivative)


def _refusal(label: str, error: GloError) -> str:
    return f"{label}: {error.message}" + (f" ({error.hint})" if error.hint else "")
