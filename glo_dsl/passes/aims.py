"""Whether a loss has something to aim at: inputs that it cannot train, predictions that it drives away without end.

Both are proved before they are said. As proofs are slow, small steps in numbers show first which losses are suspects.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from glo_dsl.errors import WARNING, Diagnostic, GloError
from glo_dsl.ir.bounds import ranges
from glo_dsl.ir.evaluate import Array, evaluate
from glo_dsl.ir.expr import Apply, Const, Expr, Var, walk
from glo_dsl.ir.types import ANY
from glo_dsl.lang.loss import Loss
from glo_dsl.passes.diff import gradients
from glo_dsl.passes.simplify import simplify

ROWS, CLASSES, STEP = 6, 3, 1e-6


def aims(loss: Loss) -> Iterator[Diagnostic]:
    """What is wrong with the aims of a loss without holes."""
    used = set(walk((loss.expr,)))
    wanted = [v for v in loss.inputs if v.type.kind == "real" and v in used]
    if not wanted:
        return
    steps = _steps(loss, wanted)
    for place, v in enumerate(wanted):
        behind = _only_compared(loss.expr, v)
        if (behind and place == 0) or (not behind and not steps[place].any() and _is_flat(loss, v)):
            hint = "nothing can be learned from it: is there a stop, sign, floor or comparison too many?"
            message = f"the gradient of {loss.name} by {v.name} is 0 everywhere"
            yield Diagnostic(message, loss.span, hint, loss.source, "no-gradient", WARNING)
    if wanted[0].domain == ANY and (np.all(steps[0] > 0) or np.all(steps[0] < 0)):
        yield from _without_end(loss, wanted[0])


def _steps(loss: Loss, wanted: list[Var]) -> Array:
    """By how much the loss changes, [input, row], when one input grows a little; 0 where that is rounding."""
    rng = np.random.default_rng(0)
    values = {v: _some(v, rng) for v in (*loss.inputs, *(p.var for p in loss.params))}
    blocks = 1 + len(wanted)
    stacked = {v: np.tile(array, (blocks, 1)) if array.shape[0] > 1 else array for v, array in values.items()}
    for place, v in enumerate(wanted, start=1):
        stacked[v][place * ROWS : (place + 1) * ROWS] += STEP * rng.uniform(0.5, 1, values[v].shape)
    (found,) = evaluate([loss.expr], stacked, CLASSES)
    rows = np.broadcast_to(found, (blocks * ROWS, 1)).reshape(blocks, ROWS)
    with np.errstate(all="ignore"):
        change = rows[1:] - rows[0]
        return np.where(np.abs(change) > 1e-5 * STEP * (1 + np.abs(rows[0])), change, 0.0)


def _some(v: Var, rng: np.random.Generator) -> Array:
    """Rows for a variable, from the middle of its domain; one that is shared may differ here as well."""
    shape = (ROWS, CLASSES if v.type.per_class else 1)
    if v.type.kind != "real":
        return rng.integers(0, CLASSES if v.type.kind == "class" else 2, shape)
    lo, hi = max(v.domain.lo, min(v.domain.hi - 2, -2.0)), min(v.domain.hi, max(v.domain.lo + 2, 2.0))
    return rng.uniform(lo, hi, shape)


def _is_flat(loss: Loss, v: Var) -> bool:
    """Whether the derivative by `v` simplifies to 0."""
    (value,) = simplify((loss.expr,))
    found = _gradient(value, v)
    if found is None:
        return False
    (gradient,) = simplify((found,))
    return isinstance(gradient, Const) and gradient.value == 0


def _without_end(loss: Loss, v: Var) -> Iterator[Diagnostic]:
    gradient = _gradient(loss.expr, v)
    if gradient is None:
        return
    interval = ranges((gradient,))[gradient]
    if interval.lo > 0 or interval.hi < 0:
        side = "falls" if interval.lo > 0 else "rises"
        message = f"{loss.name} has no minimum: it falls without end as {v.name} {side}"
        hint = f"its derivative by {v.name} is in {interval} everywhere"
        yield Diagnostic(message, loss.span, hint, loss.source, "no-minimum", WARNING)


def _gradient(value: Expr, v: Var) -> Expr | None:
    """The derivative by `v`, or None where the table does not know it: whoever needs it is told."""
    try:
        return gradients(value, [v])[v]
    except GloError:
        return None


def _only_compared(root: Expr, v: Var) -> bool:
    """Whether a variable occurs in conditions and behind `stop` alone, where nobody expects a gradient."""
    reached: set[Expr] = set()
    stack = [root]
    while stack:
        node = stack.pop()
        if node in reached:
            continue
        reached.add(node)
        if isinstance(node, Apply) and node.op.name != "stop" and node.op.kinds[-1] != "bool":
            stack += [arg for arg in node.args if arg.type.kind != "bool"]
    return v not in reached
