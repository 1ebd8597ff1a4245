"""Functions of a value and of its negative, computed together.

`softplus(a)` and `softplus(-a)` differ by `a`, and both come from exp(-|a|); so do `sigmoid` and `log_sigmoid`. Who
calls them one by one computes that exponential, and the logarithm of what is 1 above it, for each: compilers do not see
that |b - a| and |a - b| are one. A divergence between two softmaxes has both signs in value and gradient.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from glo_dsl.ir.expr import Apply, Const, Expr, apply, const, rebuild, walk
from glo_dsl.passes.templates import twin


def twinned(roots: Iterable[Expr]) -> tuple[Expr, ...]:
    """`roots` with the functions that have a column `twins` in terms of exp(-|a|), where some are of a and some of -a.

    >>> from glo_dsl.lang.elaborate import parse_expression
    >>> from glo_dsl.lang.show import show
    >>> from glo_dsl.ir.expr import var
    >>> from glo_dsl.ir.types import REAL_ROW
    >>> z = {"z": var("z", REAL_ROW)}
    >>> show(twinned([parse_expression("softplus(z) * softplus(-z)", z)])[0])
    '(max(z, 0) + log1p(exp(-abs(z)))) * (max(-z, 0) + log1p(exp(-abs(z))))'
    >>> show(twinned([parse_expression("softplus(z) * sigmoid(z)", z)])[0])
    'softplus(z) * sigmoid(z)'
    """
    roots = tuple(roots)
    decays = _decays(walk(roots))
    if not decays:
        return roots
    done: dict[Expr, Expr] = {}
    for node in walk(roots):
        args = tuple([done[a] for a in node.args])
        decay = decays.get(node.args[0]) if isinstance(node, Apply) and node.op.twins else None
        if isinstance(node, Apply) and decay is not None:
            done[node] = twin(node.op, args[0], apply("exp", apply("neg", apply("abs", _rebuilt(decay, done)))))
        else:
            done[node] = rebuild(node, args)
    return tuple([done[root] for root in roots])


def _rebuilt(node: Expr, done: Mapping[Expr, Expr]) -> Expr:
    """A node that is done, or whose arguments are; literals need not have been met."""
    return done.get(node) or rebuild(node, tuple([done[a] if a.args else a for a in node.args]))


def _decays(nodes: Iterable[Expr]) -> dict[Expr, Expr]:
    """For arguments that occur with both signs: the one of a and -a whose size both are computed from."""
    signs: dict[Expr, set[Expr]] = defaultdict(set)
    for node in nodes:
        if isinstance(node, Apply) and node.op.twins and not isinstance(node.args[0], Const):
            signs[_sizeful(node.args[0])].add(node.args[0])
    return {arg: size for size, args in signs.items() if len(args) > 1 for arg in args}


def _sizeful(node: Expr) -> Expr:
    """The same expression for a and for -a, as far as simplification leaves their signs: a, b - a or n * a."""
    if not isinstance(node, Apply):
        return node
    first = node.args[0]
    if node.op.name == "neg":
        return first
    if node.op.name == "sub":
        turned = apply("sub", node.args[1], first)
        return min(node, turned, key=lambda side: side.digest)
    if node.op.name == "mul" and isinstance(first, Const) and first.value < 0:
        return apply("mul", const(-first.value), node.args[1])
    return node
