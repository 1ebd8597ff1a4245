"""The row is read as often as reductions wait for each other, by a definition that knows nothing of the scheduler."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pytest
from hypothesis import given, settings

import glo_dsl as glo
from glo_codegen.program import Program
from glo_codegen.traffic import emit_traffic
from glo_codegen.waits import LONG, Spelling, waits
from glo_dsl.ir.evaluate import Array, evaluate
from glo_dsl.ir.expr import Apply, Expr, Var, apply, substitute, var, walk
from glo_dsl.ir.types import REAL
from glo_dsl.lang.loss import Loss
from glo_dsl.passes.pipeline import oracle_program, whole_program
from glo_dsl.passes.walked import forms
from glo_dsl.verify.strategies import losses
from tests.codegen.launching import loss_of
from tests.passes.test_magnitudes import inside
from tests.passes.test_online import C, draw, roots_of

ROWS = [name for name, loss in glo.zoo.items() if any(v.type.per_class for v in loss.inputs)]
STEPS = (0.25, 0.75, 1.25)
"""By how much a maximum grows."""


def streamed(program: Program) -> Program:
    return program.walked or program


def chain(roots: tuple[Expr, ...]) -> int:
    """How many passes follow each other at least: reductions, each over what the one before found, and a store."""
    depth: dict[Expr, int] = {}
    for node in walk(roots):
        depth[node] = max((depth[a] for a in node.args), default=0)
        if isinstance(node, Apply) and node.op.reduces and not _may_share(node, depth):
            depth[node] += 1
    return max(depth[root] + root.type.per_class for root in roots)


def _may_share(node: Apply, depth: Mapping[Expr, int]) -> bool:
    """Whether a sum can be kept up to date while the one maximum that it is computed from is found."""
    last = [n for n in _nearest(node.args[0]) if depth[n] == depth[node]]
    return node.op.name == "sum" and len(last) == 1 and last[0].op.name != "sum" and _is_scaled(node.args[0], last[0])


def _nearest(root: Expr) -> Iterator[Apply]:
    stack, seen = [root], set[Expr]()
    while stack:
        node = stack.pop()
        if isinstance(node, Apply) and node.op.reduces:
            if node not in seen:
                yield node
        elif node not in seen:
            stack.extend(node.args)
        seen.add(node)


def _is_scaled(terms: Expr, largest: Apply) -> bool:
    """Whether all terms, or all but for a factor a - max(a), are scaled by one number where max(a) grows; or are 0."""
    grown = apply("add", largest, var("d", REAL)) if largest.op.name == "max" else apply("sub", largest, var("d", REAL))
    distance = apply("sub", largest.args[0], largest)
    moved = substitute([terms, apply("div", terms, distance)], {largest: grown})
    if not terms.type.per_class:
        return False
    leaves = {v for v in walk((*moved, terms)) if isinstance(v, Var) and v.name not in ("C", "@position", "d")}
    values = {v: moderate(v) for v in leaves}
    found = [evaluate(moved, {**values, var("d", REAL): np.full((1, 1), step)}, C) for step in STEPS]
    return any(_by_one_number(*(kind[n] for kind in found)) for n in (0, 1))


def moderate(v: Var) -> Array:
    """Values inside the domain of an input, not at its edges."""
    lo, hi = max(v.domain.lo, -2.0), min(v.domain.hi, max(v.domain.lo, -2.0) + 4)
    drawn = draw(v, np.random.default_rng(0))
    return np.interp(drawn, [-2, 2], [0.75 * lo + 0.25 * hi, hi]) if v.type.kind == "real" else inside(v, 1.0)


def _by_one_number(first: Array, second: Array, third: Array) -> bool:
    if not (first.any() or second.any()):
        return True
    with np.errstate(all="ignore"):
        factors = [(b / a)[np.isfinite(b / a)] for a, b in ((first, second), (second, third))]
    rows = [f.size > 0 and np.ptp(f) <= 1e-9 and f.max() <= 1 + 1e-9 for f in factors]
    return bool(all(rows)) and bool(np.isclose(factors[0][0], factors[1][0]))


@pytest.mark.parametrize("name", ROWS)
def test_no_loss_of_the_library_is_read_more_often_than_its_reductions_wait(name: str) -> None:
    roots = roots_of(glo.zoo[name])
    passes = waits(streamed(whole_program(glo.zoo[name])))
    assert len(passes) == min(map(chain, forms(roots)))
    assert [len(wait.chain) for wait in passes] == list(range(len(passes)))


@settings(max_examples=settings().max_examples // 5)
@given(losses(max_depth=5).filter(lambda loss: any(v.type.per_class for v in loss.inputs)))
def test_a_pass_waits_for_one_reduction_of_every_pass_before(loss: Loss) -> None:
    program = streamed(whole_program(loss))
    found = waits(program)
    assert [wait.phase for wait in found] == [n for n, phase in enumerate(program.phases) if phase.passes]
    for wait in found:
        ends = [{r.out for r in program.phases[earlier.phase].reductions} for earlier in found]
        assert all(name in end for name, end in zip(wait.chain, ends, strict=False)) and len(wait.chain) <= wait.phase
        assert set(wait.outputs) <= {"loss", *(f"grad_{name}" for name in program.gradients)}
    assert len(found[-1].chain) == len(found) - 1


WAITING = """
streaming phase 1, of shared inputs only, for loss, grad_z, grad_n
streaming phase 2, for loss, grad_z, grad_n
  waits for max(n)
streaming phase 3, for grad_z, grad_n
  waits for max(n) -> sum(z / max(n) * exp(z / max(n) - max(z / max(n))))
"""


def test_the_table_of_traffic_says_what_every_pass_waits_for() -> None:
    loss = loss_of("loss f(z: real[C], n: shared real[C] in [1, inf)) = logsumexp(z / max(n))")
    text = emit_traffic(whole_program(loss), "float32")
    assert text[text.index("\n\nstreaming") + 1 :] == WAITING
    assert "waits" not in emit_traffic(whole_program(loss_of("loss f(p: real) = square(p)")), "float32")


@pytest.mark.parametrize(
    ("terms", "spelled"),
    [
        ("z", "sum(z)"),
        ("-2 * (k - z) / y", "sum(-2 * (k - z) / y)"),
        ("k - (z - y) - 1.5", "sum(k - (z - y) - 1.5)"),
        ("if z > k and not y == 3 then z[t] else C * z", "sum(if z > k and not y == 3 then z[t] else C * z)"),
        ("erf(z ^ (k + y))", "sum(erf(z ^ (k + y)))"),
        ("z * (if y > 0 then 1 else 2)", "sum(z * (if y > 0 then 1 else 2))"),
        ("z * max(y)", "sum(z * max(y))"),
        ("z * max(y * y * exp(y) * sigmoid(z) + erf(z))", "sum(z * max(…))"),
    ],
)
def test_reductions_are_written_as_in_the_loss(terms: str, spelled: str) -> None:
    head = "loss f(z: real[C], y: real[C], t: class[C]; k = 2) = "
    program = oracle_program(loss_of(f"{head} sum({terms})"))
    *_, last = (r.out for phase in program.phases for r in phase.reductions)
    assert Spelling(program).reduction(last) == spelled


def test_a_long_one_ends_with_an_ellipsis() -> None:
    program = whole_program(loss_of(f"loss f(z: real[C]) = sum({' * '.join(['(z + z * z)'] * 40)} + exp(z))"))
    texts = [Spelling(program).reduction(r.out) for phase in program.phases for r in phase.reductions]
    assert max(map(len, texts)) == LONG and max(texts, key=len).endswith("…")
