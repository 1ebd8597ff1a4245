"""Programs: few passes over the row, everything defined before it is used, the same text every time."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import glo_dsl as glo
from glo_codegen.c import emit_c
from glo_codegen.plan import recomputing
from glo_codegen.program import CLASSES, LOSS, POSITION, Instr, Load, Operand, Program, Rate, Reduce, grad, parameter
from glo_codegen.torch_ import emit_torch
from glo_dsl.lang.loss import Loss
from glo_dsl.passes.pipeline import compile_program, differentiable, oracle_program
from glo_dsl.verify.strategies import losses

EXAMPLES = Path(__file__).parents[2] / "examples"


def verify(program: Program) -> None:
    """Every value is defined once, before its first use and at a rate its arguments allow; every output exists."""
    fixed = {CLASSES, *(parameter(name) for name in program.params)}
    uniform, sample = set(fixed), set(fixed)
    everything: set[str] = set(fixed)

    def define(name: str) -> None:
        assert name not in everything, f"{name} is defined twice"
        everything.add(name)

    def use(operands: Iterable[Operand], known: set[str]) -> None:
        unknown = {operand for operand in operands if isinstance(operand, str)} - known
        assert not unknown, f"{unknown} used before they are known"

    for step in program.uniform:
        use(step.args, uniform)
        define(step.out)
        uniform.add(step.out)
        sample.add(step.out)
    row = {POSITION}
    for phase in program.phases:
        for scalar in phase.scalars:
            use(scalar.args if isinstance(scalar, Instr) else [scalar.at or CLASSES], sample)
            assert scalar.rate != Rate.CLASS
            define(scalar.out)
            sample.add(scalar.out)
        for step_ in phase.row:
            use(step_.args if isinstance(step_, Instr) else (), sample | row)
            assert step_.rate == Rate.CLASS
            define(step_.out)
            row.add(step_.out)
        use([r.arg for r in phase.reductions if not r.follow] + [s.value for s in phase.stores], sample | row)
        for reduction in (r for r in phase.reductions if r.follow):
            assert reduction.follow is not None
            use([reduction.follow.degree], sample)
            ends = ("max", "min") if reduction.follow.restarts else ("max",)
            follow_in_time(program, reduction, sample | {r.out for r in phase.reductions if r.op.name in ends})
        for reduction in phase.reductions:
            assert reduction.op.name in ("sum", "max", "min")
            define(reduction.out)
        sample |= {reduction.out for reduction in phase.reductions}
    use([value for _, value in program.results], sample)
    per_class = {i.name for i in program.inputs if i.rate == Rate.CLASS}
    stored = {store.output for phase in program.phases for store in phase.stores}
    assert stored == {grad(name) for name in program.gradients if name in per_class}
    singles = {grad(name) for name in program.gradients if name not in per_class}
    assert {output for output, _ in program.results} == {LOSS, *singles}


def follow_in_time(program: Program, reduction: Reduce, known: set[str]) -> None:
    """All that a sum that follows a maximum is computed from is there in its pass, or in the row that it walks."""
    plan = recomputing(program)
    assert isinstance(reduction.arg, str) and reduction.follow is not None and reduction.follow.maximum in known
    for name in plan.behind([reduction.arg]):
        step = plan.step[name]
        operands = step.args if isinstance(step, Instr) else ()
        missing = {a for a in operands if isinstance(a, str)} - known - set(plan.step) - {POSITION}
        assert not missing, f"{missing} used before they are known"


@settings(max_examples=settings().max_examples // 2)
@given(losses(max_depth=5))
def test_random_programs_are_in_order(loss: Loss) -> None:
    verify(compile_program(loss, [v.name for v in differentiable(loss)]))
    verify(compile_program(loss, []))


@settings(max_examples=settings().max_examples // 2)
@given(losses(max_depth=4))
def test_the_oracles_program_is_in_order(loss: Loss) -> None:
    program = oracle_program(loss)
    defined: set[str] = {CLASSES, POSITION, *(parameter(name) for name in program.params)}
    for phase_steps in (program.uniform, *((*p.scalars, *p.row, *p.reductions) for p in program.phases)):
        for step in phase_steps:
            used = step.args if isinstance(step, Instr) else (step.at,) if isinstance(step, Load) else (step.arg,)
            assert {u for u in used if isinstance(u, str)} <= defined
            defined.add(step.out)


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        (lambda p: p.phases[0].scalars, "used before"),
        (lambda p: p.phases[0].row[::-1], "used before|defined twice"),
    ],
)
def test_the_verifier_sees_what_is_out_of_order(broken: Callable[[Program], object], complaint: str) -> None:
    from dataclasses import replace

    (loss,) = glo.loads("loss f(z: real[C]) = sum(exp(2 * z))").values()
    program = compile_program(loss, ["z"])
    phase = replace(program.phases[0], row=broken(program))  # type: ignore[arg-type]
    with pytest.raises(AssertionError, match=complaint):
        verify(replace(program, phases=(phase, *program.phases[1:])))


# Passes over the row: max, then sums, then the gradient; a loss alone needs no gradient pass.

CE = "loss f(z: real[C], t: class[C]; eps = 0.1) = "
PASSES = {
    "cross_entropy": (CE + "-log(softmax(z)[t])", 2, 3),
    "cross entropy by one-hot": (CE + "-sum(onehot(t) * log(softmax(z)))", 2, 3),
    "baikal": (CE + "let y = softmax(z), x = onehot(t) in -mean(log(y) - x / y)", 2, 3),
    "focal": (CE + "let p = softmax(z)[t] in -(1 - p) ^ 2 * log(p)", 2, 3),
    "smoothed": (CE + "let y = log_softmax(z) in -(1 - eps) * y[t] - eps * mean(y)", 2, 3),
    "z loss": (CE + "-log_softmax(z)[t] + eps * logsumexp(z) ^ 2", 2, 3),
    "kl": ("loss f(z: real[C], q: prob[C]) = sum(xlogy(q, q) - q * log_softmax(z))", 3, 3),
    "brier": (CE + "sum((softmax(z) - onehot(t)) ^ 2)", 3, 4),
    "mse": ("loss f(p: real[C], y: real[C]) = sum((p - y) ^ 2)", 1, 1),
    "hinge": (CE + "sum(relu(1 + z - z[t])) - 1", 1, 2),
    "margin": (CE + "max(z) - z[t]", 1, 3),
    "plain": ("loss f(p: real, y: real) = (p - y) ^ 2", 0, 0),
}


def passes(text: str, wrt: Iterable[str]) -> int:
    (loss,) = glo.loads(text).values()
    return sum(phase.passes for phase in compile_program(loss, wrt).phases)


@pytest.mark.parametrize(("text", "value", "with_gradient"), PASSES.values(), ids=PASSES)
def test_number_of_passes(text: str, value: int, with_gradient: int) -> None:
    first = text.split("(")[1].split(":")[0]
    assert (passes(text, []), passes(text, [first])) == (value, with_gradient)


def test_baikal_is_a_maximum_then_sums_then_the_gradient() -> None:
    (loss,) = glo.loads(PASSES["baikal"][0]).values()
    program = compile_program(loss, ["z"])
    reductions = [sorted(r.op.name for r in phase.reductions) for phase in program.phases]
    assert reductions == [["max", "sum"], ["sum"], []] or reductions == [["max"], ["sum", "sum"], []]
    assert [len(phase.stores) for phase in program.phases] == [0, 0, 1]
    costly = [s.op.name for phase in program.phases for s in phase.row if isinstance(s, Instr) and s.op.cost > 8]
    assert costly == ["exp"]


@pytest.mark.parametrize("name", ["baikal", "cross_entropy", "focal", "kl", "smoothed"])
def test_exp_is_computed_once_per_class(name: str) -> None:
    (loss,) = glo.loads(PASSES[name][0]).values()
    rows = [step for phase in compile_program(loss, ["z"]).phases for step in phase.row if isinstance(step, Instr)]
    assert [step.op.name for step in rows].count("exp") == 1


def test_independent_reductions_share_a_pass() -> None:
    body = "sum(z) + sum(exp(z)) * sum(square(z)) + max(z) - min(z) + mean(abs(z))"
    assert passes(f"loss f(z: real[C]) = {body}", []) == 1


# Determinism.

EMIT = """
import glo_dsl as glo
from glo_codegen.c import emit_c
from glo_codegen.torch_ import emit_torch
from glo_dsl.passes.pipeline import compile_program, differentiable
import sys
for path in sys.argv[1:]:
    for loss in glo.load(path).values():
        if not loss.holes:
            program = compile_program(loss, [v.name for v in differentiable(loss)])
            print(emit_c(program).partition("glo_run")[2], emit_torch(program))
"""


def test_generated_text_is_the_same_in_every_process() -> None:
    command = [sys.executable, "-c", EMIT, *map(str, sorted(EXAMPLES.glob("*.glo")))]
    outputs = set()
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        outputs.add(subprocess.run(command, capture_output=True, text=True, env=environment, check=True).stdout)
    (text,) = outputs
    assert "loss_baikal" in text


@settings(max_examples=settings().max_examples // 2)
@given(losses(max_depth=4), st.booleans())
def test_generated_text_does_not_depend_on_what_was_compiled_before(loss: Loss, backwards: bool) -> None:
    names = [v.name for v in differentiable(loss)]
    once = compile_program(loss, names)
    (other,) = glo.loads("loss g(z: real[C], x: real) = sum(exp(z) * x)").values()
    compile_program(other, ["x", "z"] if backwards else ["z"])
    (reread,) = glo.loads(loss.text).values()
    again = compile_program(reread, names)
    assert emit_c(once) == emit_c(again) and emit_torch(once) == emit_torch(again)
