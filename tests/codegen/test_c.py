"""The C printer: its text compiles without a warning, names collide with nothing, all bodies compute the same."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from glo_codegen.c import emit_c, function_name, translation_unit
from glo_codegen.plan import plan_of, walked
from glo_codegen.program import Program
from glo_dsl.lang.definitions import losses_of
from glo_dsl.lang.loss import Loss
from glo_dsl.passes.pipeline import compile_program, differentiable
from glo_dsl.runtime.build_c import COMMON, NoCompiler, compiler
from glo_dsl.runtime.c_kernel import build
from glo_dsl.verify.oracle import oracle

EXAMPLES = sorted(p for p in (Path(__file__).parents[2] / "examples").glob("*.glo") if "?" not in p.read_text())
HOSTILE = (
    "loss main(int: real[C], real: class[C], classes: real, position: real[C], scale: real, row: shared real[C],"
    " lanes: bool[C], call: bool; v0 = 2, scratch = 3, reduced = 1.5, total = -1, double = 2, i = 0.5, c = 0.25) ="
    " v0 * int[real] * classes + scratch * sum(if lanes then position * row else int) + reduced * scale"
    " + i * max(int, c)[real] * total + (if call then classes ^ double else log(sum(exp(position))))"
)
ELEMENTWISE = (
    "loss auto(int: real, r: real, while: bool; first = 2, last = 3, losses = 1) ="
    " first * int * r + (if while then last else losses)"
)


def loss_of(text: str) -> Loss:
    return list(losses_of(text).values())[-1]


def program_of(text: str) -> Program:
    loss = loss_of(text)
    return compile_program(loss, [v.name for v in differentiable(loss)])


def batch(loss: Loss, rows: int, classes: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(rows + classes)
    made = []
    for v in loss.inputs:
        shape = (rows,) * v.type.per_sample + (classes,) * v.type.per_class
        if v.type.kind == "class":
            made.append(torch.randint(0, classes, shape, generator=generator))
        elif v.type.kind == "bool":
            made.append(torch.rand(shape, generator=generator) < 0.5)
        else:
            made.append(torch.randn(shape, generator=generator) * 2)
    return made


def check(loss: Loss, inputs: Sequence[Tensor], double: bool = False) -> None:
    """Value per row and every gradient against autograd in float64 on the loss as written."""
    names = [v.name for v in differentiable(loss)]
    inputs = [t.double() if double and t.is_floating_point() else t for t in inputs]
    (kernel,) = build([compile_program(loss, names)], double)
    value, gradients = kernel.run(inputs, list(loss.defaults.values()), "none", -100)
    want, wanted = oracle(loss, inputs, wrt=names)
    per_sample = {v.name for v in loss.inputs if v.type.per_sample}
    gradients = {name: g if name in per_sample else g.double().sum(0) for name, g in gradients.items()}
    for mine, truth in [(value, want), *((gradients[n], wanted[n]) for n in names)]:
        close = 1e-10 if double else 1e-5
        size = float(truth.abs().max()) if truth.numel() else 0.0
        torch.testing.assert_close(mine.double(), truth, rtol=close, atol=close * max(size, 1.0))


@pytest.mark.parametrize("double", [False, True], ids=["float32", "float64"])
@pytest.mark.parametrize("text", [*(p.read_text() for p in EXAMPLES), HOSTILE, ELEMENTWISE],
                         ids=[*(p.stem for p in EXAMPLES), "hostile", "elementwise"])  # fmt: skip
def test_it_compiles_without_a_warning(text: str, double: bool, tmp_path: Path) -> None:
    try:
        command, version = compiler()
    except NoCompiler:
        pytest.skip("no C compiler")
    strict = [flag for flag in COMMON if flag != "-w"] + ["-Wall", "-Wextra", "-Werror", *["-DGLO_DOUBLE"] * double]
    openmp = "-fopenmp-simd" if "clang" in version else "-fopenmp"  # clang may have no omp.h
    out = tmp_path / "kernel.so"
    done = subprocess.run(
        [*command, *strict, "-march=native", openmp, "-O1", "-x", "c", "-", "-o", str(out), "-lm"],
        input=emit_c(program_of(text)), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0 and not done.stderr, done.stderr


@pytest.mark.parametrize("classes", [1, 5, 64, 65, 300])
@pytest.mark.parametrize("rows", [1, 15, 16, 37])
def test_hostile_names_collide_with_nothing(rows: int, classes: int) -> None:
    loss = loss_of(HOSTILE)
    inputs = batch(loss, rows, classes)
    inputs[2] = inputs[2].abs() + 0.1  # a base of a power
    check(loss, inputs)


def test_hostile_names_of_an_elementwise_loss() -> None:
    loss = loss_of(ELEMENTWISE)
    check(loss, batch(loss, 100, 1))


@pytest.mark.parametrize("classes", [1, 2, 10, 63, 64, 65, 1000])
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_examples(path: Path, classes: int) -> None:
    loss = loss_of(path.read_text())
    check(loss, batch(loss, 33, classes), double=classes in (10, 65))


def test_rows_of_fifty_thousand_classes() -> None:
    for name in ("cross_entropy", "baikal"):
        loss = loss_of(next(p for p in EXAMPLES if p.stem == name).read_text())
        check(loss, batch(loss, 3, 50257))


def test_long_sums_keep_their_digits() -> None:
    """Adding one by one loses them: each of these is far below the total."""
    (kernel,) = build([compile_program(loss_of("loss f(z: real[C]) = sum(z) / C"), [])])
    for classes in (50257, 1000, 513):
        value, _ = kernel.run([torch.full((1, classes), 1.1)], [], "none", -100)
        assert value.item() == pytest.approx(float(torch.tensor(1.1)), rel=3e-6)


@pytest.mark.parametrize("classes", [10, 100])
@pytest.mark.parametrize("name", ["cross_entropy", "taylor3"])
def test_classes_that_are_not_next_to_each_other_give_the_same_bits(name: str, classes: int) -> None:
    loss = loss_of(next(p for p in EXAMPLES if p.stem == name).read_text())
    z, t = batch(loss, 40, classes)
    (kernel,) = build([compile_program(loss, ["z"])])
    defaults = list(loss.defaults.values())
    value, gradients = kernel.run([z, t], defaults, "sum", -100)
    spread = torch.full((classes, 3, 40), 7.0)
    spread[:, 1] = z.T
    for other in (z.T.contiguous().T, spread[:, 1].T, z.flip(0).flip(0)):
        again, same = kernel.run([other, t], defaults, "sum", -100)
        assert torch.equal(again, value) and torch.equal(same["z"], gradients["z"])


def test_conditions_and_shared_rows_of_any_stride() -> None:
    loss = loss_of(
        "loss f(z: real[C], m: bool[C], w: shared real[C], k: bool) ="
        " sum(if m then z * w else exp(z)) + (if k then 1 else 0)"
    )
    for classes in (7, 90):
        z, m, w, k = batch(loss, 21, classes)
        every_second = [torch.stack([t, torch.zeros_like(t)], -1)[..., 0] for t in (m, w, k)]
        check(loss, [z.T.contiguous().T, *every_second])
        check(loss, [z[:1].expand(21, classes), m[:1].expand(21, classes), w[:1].expand(classes), k[:1].expand(21)])


def test_only_what_is_costly_and_used_again_lies_in_scratch() -> None:
    def scratch(text: str) -> list[str]:
        program = program_of(text)
        names = {step.out: step.op.name for phase in program.phases for step in phase.row if hasattr(step, "op")}
        return [names[name] for name in plan_of(program).scratch]

    assert scratch("loss f(z: real[C], t: class[C]) = -log(softmax(z)[t])") == ["exp"]
    assert scratch("loss f(z: real[C]) = sum(z ^ 2)") == []
    assert scratch("loss f(z: real[C]) = log(sum(z * z))") == []  # a product is cheaper than a store and a load
    assert scratch("loss f(p: real, y: real) = exp(p - y)") == []
    twice = scratch("loss f(z: real[C]) = log(sum(exp(z))) + log(sum(sqrt(abs(z))))")
    assert sorted(twice) == ["exp", "sqrt"]


def test_no_row_is_laid_out_that_is_read_at_one_class_only() -> None:
    program = compile_program(loss_of("loss f(a: real[C], b: real[C], t: class[C]) = sum(exp(a)) * b[t]"), [])
    assert [program.inputs[n].name for n in walked(program, plan_of(program))] == ["a"]


def test_a_literal_outside_the_finite_numbers() -> None:
    loss = loss_of("loss f(x: real) = min(x, 1 / 0) + (if x > 1 then 1e300 * 0 else max(x, -1 / 0))")
    check(loss, [torch.tensor([0.5, 2.0])], double=True)


def test_several_losses_share_a_translation_unit_and_a_library() -> None:
    programs = [program_of(p.read_text()) for p in EXAMPLES]
    text = translation_unit(programs)
    assert text.count("} glo_call;") == 1
    assert all(text.count(f"int {function_name(p)}(glo_call *call) {{") == 1 for p in programs)
    same = [loss_of(f"loss f(x: real) = {n} * x") for n in (1, 2, 3)]
    kernels = build([compile_program(loss, ["x"]) for loss in same])
    ones = torch.ones(4)
    assert [float(k.run([ones], [], "sum", -100)[0]) for k in kernels] == [4, 8, 12]


def test_a_bound_call_follows_its_buffers() -> None:
    loss = loss_of("loss f(x: real; k = 2) = k * x ^ 2")
    (kernel,) = build([compile_program(loss, ["x"])])
    x, gradient, value = torch.tensor([1.0, 2.0]), torch.empty(2), torch.empty(())
    step = kernel.bind([x], [3.0], "sum", -100, value, [gradient])
    step()
    assert value == 15 and gradient.tolist() == [6, 12]
    x.copy_(torch.tensor([0.0, 1.0]))
    step()
    assert value == 3 and gradient.tolist() == [0, 6]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_a_source_comment_cannot_leave_the_comment(path: Path) -> None:
    text = path.read_text().replace("# ", "# */ #include <evil.h> \\\n# ", 1)
    lines = emit_c(program_of(text)).splitlines()
    where = [line for line in lines if "evil" in line]
    assert where and all(line.startswith("// ") and not line.endswith("\\") for line in where)
