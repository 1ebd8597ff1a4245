"""Reverse-mode differentiation by the table's `vjp` column."""

from __future__ import annotations

from collections.abc import Iterable

from glo_dsl.ir.expr import Apply, Const, Expr, Var, apply, const, substitute, total, walk
from glo_dsl.ir.ops import Op
from glo_dsl.passes.templates import reduces_its_adjoint, vjp

Guard = tuple[Expr, bool]
Guards = frozenset[Guard]
Adjoint = dict[Guards, Expr]
"""An adjoint as a sum of parts, each valid where its guards hold and zero elsewhere.

A part that comes through a branch is multiplied by local derivatives that may be NaN or infinite where the branch is
not taken. So the choice is not applied on the spot (0 * NaN would leak) but carried along and applied at the leaf.
"""


def gradients(value: Expr, wrt: Iterable[Var]) -> dict[Var, Expr]:
    """d value / d v for each variable v: per class where v is, else per sample.

    `value` is one real number per sample. Where a variable varies over fewer axes than the value, the derivative is
    that of one sample's value; summing over the batch is the caller's.

    >>> from glo_dsl.lang.show import show
    >>> from glo_dsl.lang.elaborate import parse_expression
    >>> from glo_dsl.ir.expr import var
    >>> from glo_dsl.ir.types import REAL
    >>> x = var("x", REAL)
    >>> show(gradients(parse_expression("exp(x)", {"x": x}), [x])[x])
    '1 * exp(x)'
    """
    wanted = list(wrt)
    needed = _depends_on(value, set(wanted))
    adjoints: dict[Expr, Adjoint] = {value: {frozenset(): const(1.0)}}
    for node in reversed(list(walk((value,)))):
        if isinstance(node, Apply) and node in adjoints and node in needed:
            _propagate(node, adjoints, needed)
    return {v: _complete(adjoints.get(v, {})) for v in wanted}


def _depends_on(root: Expr, wanted: set[Var]) -> set[Expr]:
    needed: set[Expr] = set()
    for node in walk((root,)):
        if node in wanted or any(a in needed for a in node.args):
            needed.add(node)
    return needed


def _propagate(node: Apply, adjoints: dict[Expr, Adjoint], needed: set[Expr]) -> None:
    parts = adjoints[node]
    if reduces_its_adjoint(node.op):
        parts = _merge_class_guards(parts)
    for guards, g in parts.items():
        for place, arg in enumerate(node.args):
            if arg in needed:
                contribution = _contribution(node, place, g, node.op)
                if contribution is not None:
                    _add(adjoints, arg, *_fit(contribution, guards | _new_guard(node, place), node, arg))


def _contribution(node: Apply, place: int, g: Expr, op: Op) -> Expr | None:
    """`g` may vary over fewer axes than the node: then it is the same for all classes, and `rebuild` counts them."""
    return vjp(op, place, node.args, node, g)


def _new_guard(node: Apply, place: int) -> Guards:
    if node.op.name != "select" or place == 0:
        return frozenset()
    return frozenset({(node.args[0], place == 1)})


def _fit(part: Expr, guards: Guards, node: Apply, arg: Expr) -> tuple[Guards, Expr]:
    """Sums a contribution over the class axis when the node has it and the argument has not."""
    if not node.type.per_class or arg.type.per_class:
        return guards, part
    inner = frozenset(guard for guard in guards if guard[0].type.per_class)
    return guards - inner, total(_guarded(part, inner))


def _add(adjoints: dict[Expr, Adjoint], arg: Expr, guards: Guards, part: Expr) -> None:
    parts = adjoints.setdefault(arg, {})
    parts[guards] = apply("add", parts[guards], part) if guards in parts else part


def _merge_class_guards(parts: Adjoint) -> Adjoint:
    merged: Adjoint = {}
    for guards, part in parts.items():
        inner = frozenset(guard for guard in guards if guard[0].type.per_class)
        outer = guards - inner
        done = _guarded(part, inner)
        merged[outer] = apply("add", merged[outer], done) if outer in merged else done
    return merged


def _guarded(part: Expr, guards: Guards) -> Expr:
    for condition, holds in sorted(guards, key=lambda guard: (guard[0].digest, guard[1])):
        zero = const(0.0)
        part = apply("select", condition, part, zero) if holds else apply("select", condition, zero, part)
    return part


def _complete(parts: Adjoint) -> Expr:
    """The sum of the parts, two complementary branches joined into one choice."""
    left = dict(parts)
    terms: list[Expr] = []
    while left:
        guards, part = left.popitem()
        for condition, holds in guards:
            other = guards - {(condition, holds)} | {(condition, not holds)}
            if other in left:
                pair = (part, left.pop(other)) if holds else (left.pop(other), part)
                rest = guards - {(condition, holds)}
                joined = apply("select", condition, *pair)
                left[rest] = apply("add", left[rest], joined) if rest in left else joined
                break
        else:
            terms.append(_guarded(part, guards))
    result: Expr | None = None
    for term in terms:
        result = term if result is None else apply("add", result, term)
    return const(0.0) if result is None else result


def is_zero(expr: Expr) -> bool:
    """Whether the expression is literally 0."""
    return isinstance(expr, Const) and expr.value == 0.0


__all__ = ["gradients", "is_zero", "substitute"]
