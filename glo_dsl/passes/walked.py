"""The form of a loss for targets that read the row again in every pass: the one that needs the fewest passes.

Besides sums that follow a maximum (`online`) there are other ways to save a pass: `powers`, `factors`, and this one.
What a sum has to wait for is often a factor per sample, such as the 1 / sum(exp(a)) of a softmax, that only the target
class keeps inside the sum, as in sum(square(softmax(z) - onehot(t))). With the term of the target taken out, the factor
leaves the sum over the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from glo_codegen.program import Program
from glo_dsl.ir.expr import POSITION, Apply, Expr, Var, apply, const, rebuild, truth, walk
from glo_dsl.lang.loss import Loss
from glo_dsl.passes.factors import factored
from glo_dsl.passes.late import late_sums
from glo_dsl.passes.online import is_exponent, online
from glo_dsl.passes.powers import powers
from glo_dsl.passes.schedule import schedule
from glo_dsl.passes.simplify import at


def walked_program(loss: Loss, value: Expr, gradients: Mapping[Var, Expr], program: Program) -> Program | None:
    """The Program with the fewest passes over the row, or None when `program` itself has no more than that."""
    found = program
    for form in forms((value, *gradients.values())):
        other = schedule(loss, form[0], dict(zip(gradients, form[1:], strict=True)), online(form))
        found = min(found, other, key=_passes)
    return None if found is program else found


def forms(roots: tuple[Expr, ...]) -> Iterable[tuple[Expr, ...]]:
    """`roots`, lowered, and the same written otherwise, each once."""
    apart = split(roots)
    return dict.fromkeys((roots, apart, powers(apart), factored(apart)))


def _passes(program: Program) -> int:
    return sum(phase.passes for phase in program.phases)


def split(roots: Iterable[Expr]) -> tuple[Expr, ...]:
    """`roots`, lowered, where every sum that has to wait is one over all classes but the target's, and its term.

    >>> from glo_dsl.ir.expr import var
    >>> from glo_dsl.ir.types import CLASS_INDEX, REAL_ROW, UNIT
    >>> from glo_dsl.lang.elaborate import parse_expression
    >>> from glo_dsl.lang.show import show
    >>> from glo_dsl.passes.lower import lower
    >>> scope = {"p": var("p", REAL_ROW, UNIT), "t": var("t", CLASS_INDEX)}
    >>> late = lower([parse_expression("sum(square(p / (1 + sum(p)) - onehot(t)))", scope)])
    >>> print(show(split(late)[0]))
    square(1 / (1 + sum(p))) * sum(if @position == t then 0 else square(p)) + square(-1 + 1 / (1 + sum(p)) * p[t])
    """
    return late_sums(roots, _without_target)


def _without_target(terms: Expr) -> Expr | None:
    """The sum of `terms`, that of the target apart; None if there is no target, or more than one."""
    tests = [node for node in walk((terms,)) if isinstance(node, Apply) and _is_target(node)]
    if len(tests) != 1:
        return None
    (test,) = tests
    (target,) = (a for a in test.args if a is not POSITION)
    others = _elsewhere(terms, test)
    if not others.type.per_class:
        return None
    return apply("add", apply("sum", apply("select", test, const(0.0), others)), at(terms, target))


def _elsewhere(terms: Expr, test: Expr) -> Expr:
    """What `terms` is for any class but the target; a - max(a) stays as it is, to be known as such."""
    found: dict[Expr, Expr] = {test: truth(False)}
    for node in walk((terms,)):
        if node not in found:
            kept = not node.type.per_class or is_exponent(node)
            found[node] = node if kept else _without_test(node, tuple(found[a] for a in node.args))
    return found[terms]


def _without_test(node: Expr, args: tuple[Expr, ...]) -> Expr:
    """A node over other arguments. What is 0 times for all but the target, whatever it is, is in the target's term."""
    if args != node.args and isinstance(node, Apply):
        if node.op.name == "select" and args[0] is truth(False):
            return args[2]
        if node.op.name == "mul" and const(0.0) in args:
            return const(0.0)
    return rebuild(node, args)


def _is_target(node: Apply) -> bool:
    return node.op.name == "eq" and POSITION in node.args
