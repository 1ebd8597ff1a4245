"""Reverse-mode differentiation by the table's `vjp` column."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

from glo_dsl.ir.expr import Apply, Expr, Var, apply, const, total, walk
from glo_dsl.passes.templates import reduces_its_adjoint, vjp

Guard = tuple[Expr, bool]
Guards = frozenset[Guard]
Adjoint = dict[Guards, Expr]
"""An adjoint as a sum of parts, each valid where its guards hold and zero elsewhere.

A part that comes through a branch is multiplied by local derivatives that may be NaN or infinite where the branch is
not taken. So the choice is not applied on the spot (0 * NaN would leak) but carried along and applied at the leaf, or
where both branches meet again.
"""

MOST_GUARDS = 8
"""Guards of a part, and parts of an adjoint, above which they become one condition: they could double at every `if`."""


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
    return {v: _sum(_joined(adjoints.get(v, {}))) for v in wanted}


def _depends_on(root: Expr, wanted: set[Var]) -> set[Expr]:
    needed: set[Expr] = set()
    for node in walk((root,)):
        if node in wanted or any(a in needed for a in node.args):
            needed.add(node)
    return needed


def _propagate(node: Apply, adjoints: dict[Expr, Adjoint], needed: set[Expr]) -> None:
    parts = _joined(adjoints[node])
    if reduces_its_adjoint(node.op):
        parts = _merge_class_guards(parts)
    if len(parts) > MOST_GUARDS:
        parts = _under_one_guard(parts)
    for guards, g in parts.items():
        for place, arg in enumerate(node.args):
            if arg in needed:
                contribution = vjp(node.op, place, node.args, node, g)
                if contribution is not None:
                    _add(adjoints, arg, *_fit(contribution, _shortened(guards | _new_guard(node, place)), node, arg))


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
    _append(adjoints.setdefault(arg, {}), guards, part)


def _append(parts: Adjoint, guards: Guards, part: Expr) -> None:
    parts[guards] = apply("add", parts[guards], part) if guards in parts else part


def _merge_class_guards(parts: Adjoint) -> Adjoint:
    merged: Adjoint = {}
    for guards, part in parts.items():
        inner = frozenset(guard for guard in guards if guard[0].type.per_class)
        outer = guards - inner
        _append(merged, outer, _guarded(part, inner))
    return merged


def _joined(parts: Adjoint) -> Adjoint:
    """The same adjoint with the two branches of a choice joined wherever both are there."""
    if len(parts) < 2:
        return parts
    waiting = list(parts.items())
    done: Adjoint = {}
    while waiting:
        guards, part = waiting.pop()
        both = next((guard for guard in _in_order(guards) if _other_branch(guards, guard) in done), None)
        if both is None:
            _append(done, guards, part)
        else:
            other = done.pop(_other_branch(guards, both))
            choice = (part, other) if both[1] else (other, part)
            waiting.append((guards - {both}, apply("select", both[0], *choice)))
    return done


def _other_branch(guards: Guards, guard: Guard) -> Guards:
    return guards - {guard} | {(guard[0], not guard[1])}


def _under_one_guard(parts: Adjoint) -> Adjoint:
    """All parts as one, valid where any of them is."""
    if frozenset() in parts:
        return {frozenset(): _sum(parts)}
    somewhere = reduce(lambda a, b: apply("or", a, b), (_all(guards) for guards in parts))
    return {frozenset({(somewhere, True)}): _sum(parts)}


def _shortened(guards: Guards) -> Guards:
    """Many guards as one per class and one per sample, which stay apart."""
    if len(guards) <= MOST_GUARDS:
        return guards
    groups = [frozenset(g for g in guards if g[0].type.per_class == per_class) for per_class in (False, True)]
    return frozenset((_all(group), True) for group in groups if group)


def _all(guards: Guards) -> Expr:
    conditions = (condition if holds else apply("not", condition) for condition, holds in _in_order(guards))
    return reduce(lambda a, b: apply("and", a, b), conditions)


def _in_order(guards: Guards) -> list[Guard]:
    return sorted(guards, key=lambda guard: (guard[0].digest, guard[1]))


def _guarded(part: Expr, guards: Guards) -> Expr:
    for condition, holds in _in_order(guards):
        zero = const(0.0)
        part = apply("select", condition, part, zero) if holds else apply("select", condition, zero, part)
    return part


def _sum(parts: Adjoint) -> Expr:
    terms = [_guarded(part, guards) for guards, part in parts.items()]
    return reduce(lambda a, b: apply("add", a, b), terms) if terms else const(0.0)
