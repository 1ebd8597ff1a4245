"""The Triton printer: its text, and what its kernels compute in Triton's interpreter, against autograd in float64."""

from __future__ import annotations

import ast
import importlib.util
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor

from glo_codegen.program import Instr, Program, Rate
from glo_codegen.triton import emit_triton
from glo_dsl.ir import expr as ir
from glo_dsl.ir.expr import Apply, Const, Expr, Var, walk
from glo_dsl.ir.table import OPS
from glo_dsl.lang.definitions import losses_of
from glo_dsl.lang.loss import Loss
from glo_dsl.passes.pipeline import compile_program, differentiable

EXAMPLES = sorted(p for p in (Path(__file__).parents[2] / "examples").glob("*.glo") if "?" not in p.read_text())
SIZES = [(1, 1), (70, 10), (5, 33), (3, 1100)]
IGNORED = -100
Build = Callable[[Program], ModuleType]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The interpreter computes with numpy, which warns of what is meant: infinities, and junk in masked lanes."""
    with np.errstate(all="ignore"):
        yield


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """Loads the module of a program from a file, for Triton reads the source of its functions back."""
    number = itertools.count()

    def load(program: Program) -> ModuleType:
        path = tmp_path / f"module{next(number)}.py"
        path.write_text(emit_triton(program))
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


def loss_of(text: str) -> Loss:
    (loss,) = losses_of(text).values()
    return loss


def program_of(loss: Loss) -> Program:
    return compile_program(loss, [v.name for v in differentiable(loss)])


def batch(loss: Loss, rows: int, classes: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> tuple[Tensor, ...]:
    """Inputs in the order of the loss; logits of moderate size."""
    generator = torch.Generator().manual_seed(seed)
    made = []
    for v in loss.inputs:
        shape = (rows,) * v.type.per_sample + (classes,) * v.type.per_class
        if v.type.kind == "class":
            made.append(torch.randint(0, classes, shape, generator=generator))
        elif v.type.kind == "bool":
            made.append(torch.rand(shape, generator=generator) < 0.5)
        else:
            made.append(torch.randn(shape, generator=generator).mul(2).to(dtype))
    return tuple(made)


def run(
    module: ModuleType, loss: Loss, inputs: tuple[Tensor, ...], wrt: tuple[str, ...] | None = None, scale: float = 1.0
) -> tuple[Tensor, dict[str, Tensor]]:
    params = torch.tensor(list(loss.defaults.values()), dtype=torch.float32)
    names = tuple(v.name for v in differentiable(loss)) if wrt is None else wrt
    found: tuple[Tensor, dict[str, Tensor]] = module.launch(inputs, params, names, torch.tensor([scale]), IGNORED)
    return found


def reference(loss: Loss, inputs: tuple[Tensor, ...], scale: float = 1.0) -> tuple[Tensor, dict[str, Tensor]]:
    """Loss per row and gradients as `launch` returns them, from the table's torch spellings and autograd in float64."""
    rows = next(t.shape[0] for v, t in zip(loss.inputs, inputs) if v.type.per_sample)
    classes = next((t.shape[-1] for v, t in zip(loss.inputs, inputs) if v.type.per_class), 2**40)
    leaves: dict[Expr, Tensor] = {}
    ignored, invalid = torch.zeros(rows, 1, dtype=torch.bool), torch.zeros(rows, 1, dtype=torch.bool)
    for v, tensor in zip(loss.inputs, inputs):
        value = tensor.expand(rows, classes) if v.type.per_class else tensor[:, None]
        if v.type.kind == "class":
            ignored |= value == IGNORED
            invalid |= (value < 0) | (value >= classes)
            value = value.clamp(0, classes - 1).long()
        leaves[v] = value.double().clone().requires_grad_() if v.type.kind == "real" else value
    for p in loss.params:
        leaves[p.var] = torch.full((rows, 1), p.default, dtype=torch.float64, requires_grad=True)
    value = evaluate(loss.expr, leaves, rows, classes).expand(rows, 1)
    filler = torch.where(ignored, 0.0, math.nan)
    fail = ignored | invalid
    if value.requires_grad:
        torch.where(fail, 0.0, value).sum().backward()  # type: ignore[no-untyped-call]
    grads = {}
    for v in differentiable(loss):
        grad = leaves[v].grad
        grad = torch.zeros_like(leaves[v]) if grad is None else grad
        grad = torch.where(fail, filler, grad * scale)
        grads[v.name] = grad if v.type.per_class else grad[:, 0]
    return torch.where(fail, filler, value.detach())[:, 0], grads


def evaluate(expr: Expr, leaves: dict[Expr, Tensor], rows: int, classes: int) -> Tensor:
    values: dict[Expr, Tensor] = {ir.CLASSES: torch.tensor([[float(classes)]], dtype=torch.float64)}
    scope = {"torch": torch, "C": classes, "dtype": torch.float64}
    for node in walk((expr,)):
        match node:
            case Const():
                values[node] = torch.full((1, 1), node.value, dtype=torch.float64)
                values[node] = values[node] != 0 if node.type.kind == "bool" else values[node]
            case Var() if node in leaves:
                values[node] = leaves[node]
            case Apply():
                args = [values[a] for a in node.args]
                if node.op.reduces or node.op.shape in ("gather", "row"):
                    args[0] = args[0].expand(rows, classes)
                names = [f"a{n}" for n in range(len(args))]
                values[node] = eval(node.op.torch.format(*names), scope | dict(zip(names, args)))
    return values[expr]


def check(loss: Loss, module: ModuleType, inputs: tuple[Tensor, ...], scale: float = 1.0) -> None:
    value, grads = run(module, loss, inputs, scale=scale)
    want, want_grads = reference(loss, inputs, scale)
    assert value.dtype == torch.float32 and value.shape == want.shape
    assert list(grads) == list(want_grads)
    close(value, want)
    for name, grad in grads.items():
        assert grad.is_contiguous()
        assert grad.dtype == grad_dtype(loss, inputs, name)
        close(grad, want_grads[name])


def grad_dtype(loss: Loss, inputs: tuple[Tensor, ...], name: str) -> torch.dtype:
    found = [t.dtype for v, t in zip(loss.inputs, inputs) if v.name == name and v.type.per_sample]
    return found[0] if found else torch.float32


def close(actual: Tensor, want: Tensor) -> None:
    """To a few roundings of the largest value, and of the dtype."""
    finite = want[want.isfinite()].abs()
    largest = max(1.0, float(finite.max())) if finite.numel() else 1.0
    rtol = {torch.float32: 1e-5, torch.float16: 2**-10, torch.bfloat16: 2**-7}[actual.dtype]
    torch.testing.assert_close(actual.double(), want, rtol=rtol, atol=1e-5 * largest, equal_nan=True)


@pytest.mark.parametrize(("rows", "classes"), SIZES)
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_examples_have_the_value_and_gradients_of_autograd(path: Path, rows: int, classes: int, build: Build) -> None:
    loss = loss_of(path.read_text())
    inputs = batch(loss, rows, classes)
    check(loss, build(program_of(loss)), inputs, scale=0.25)


LOSSES = {
    "constant gradient": "loss f(z: real[C]) = sum(z)",
    "gradient per sample": "loss f(z: real[C], a: real) = a * sum(z) + a",
    "constant": "loss f(x: real; k = 3) = 2.5",
    "constant row": "loss f(z: real[C], t: class[C]) = 2.5",
    "uniform": "loss f(x: real; k = 3, j = -2) = k * j",
    "class weights": "loss f(z: real[C], w: shared real[C], t: class[C]) = -exp(w[t]) * log_softmax(z)[t] + sum(w * z)",
    "reduced weights": "loss f(z: real[C], w: shared real[C]) = max(w) * min(z) + sum(w) + mean(w * w)",
    "conditions": "loss f(z: real[C], m: bool[C], b: bool; k = 1) ="
    " if b and not (sum(z) > 0) or k < 0 then sum(if m and k > 0 or z > 1 then z else 0) else min(z)",
    "literal conditions": "loss f(z: real[C], m: bool[C]) = sum(if m == true and z < 3 then z * z else 0)",
    "two rows": "loss f(z: real[C], y: real[C]) = -sum(softmax(y) * log_softmax(z)) + max(z * y)",
    "two class indices": "loss f(z: real[C], t: class[C], s: class[C]) ="
    " z[t] * z[s] - logsumexp(z) + (if t == s then 1 else 0)",
    "classes without rows": "loss f(x: real, t: class[C], s: class[C]) = if t == s then x * x else x",
    "ties": "loss f(z: real[C]) = max(floor(z)) * max(z) + min(floor(z / 2))",
    "elementary": "loss f(x: real, y: real; k = 1.5) ="
    " tanh(x) + erf(y) * sin(x) - cos(y) + sqrt(square(x) + 1) + sign(x) * floor(y)"
    " + relu(x) + clamp(y, -k, k) + xlogy(square(x), square(y) + k) + log1p(exp(x)) + expm1(y) * sigmoid(x)"
    " + log(sigmoid(y)) + (x * x + 1) ^ y + max(x, y) * min(x, k)",
}


@pytest.mark.parametrize("text", LOSSES.values(), ids=LOSSES)
def test_rates_and_kinds_have_the_value_and_gradients_of_autograd(text: str, build: Build) -> None:
    loss = loss_of(text)
    module = build(program_of(loss))
    check(loss, module, batch(loss, 67, 3))
    check(loss, module, batch(loss, 2, 1))


def strided(tensor: Tensor, how: str) -> Tensor:
    """The same values, or for "expanded" one row of them again and again, in another layout."""
    if how == "transposed":
        return tensor.mT.contiguous().mT if tensor.dim() == 2 else tensor
    if how == "expanded":
        return tensor[:1].expand_as(tensor)
    wide = torch.full((*tensor.shape, 3), float("nan")).to(tensor.dtype)  # every third element, junk between
    wide[..., 1] = tensor
    return wide[..., 1]


@pytest.mark.parametrize("how", ["transposed", "expanded", "every third"])
@pytest.mark.parametrize(
    "text",
    [(Path(__file__).parents[2] / "examples" / "focal.glo").read_text(), LOSSES["class weights"], LOSSES["elementary"]],
    ids=["focal", "class weights", "elementary"],
)
def test_strides_may_be_anything(text: str, how: str, build: Build) -> None:
    loss = loss_of(text)
    inputs = tuple(strided(t, how) for t in batch(loss, 9, 10))
    check(loss, build(program_of(loss)), inputs)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_half_precision_is_computed_in_float32_and_rounded_once(path: Path, dtype: torch.dtype, build: Build) -> None:
    loss = loss_of(path.read_text())
    check(loss, build(program_of(loss)), batch(loss, 7, 10, dtype))


@pytest.mark.parametrize("kind", [torch.int64, torch.int32])
@pytest.mark.parametrize("name", ["cross_entropy", "focal", "two class indices", "classes without rows"])
def test_ignored_rows_are_zero_and_rows_without_such_a_class_are_nan(
    name: str, kind: torch.dtype, build: Build
) -> None:
    path = Path(__file__).parents[2] / "examples" / f"{name}.glo"
    loss = loss_of(LOSSES.get(name) or path.read_text())
    inputs = list(batch(loss, 8, 10))
    places = [n for n, v in enumerate(loss.inputs) if v.type.kind == "class"]
    by_rows = any(v.type.per_class for v in loss.inputs)
    for n in places:
        inputs[n] = inputs[n].to(kind)
    inputs[places[0]][1:4] = torch.tensor([IGNORED, -1, 10 if by_rows else -7])
    inputs[places[-1]][4:6] = torch.tensor([IGNORED, -(2**31)])
    inputs[places[-1]][2] = IGNORED if len(places) > 1 else 2**31 - 1  # ignored and invalid: ignored
    loss_rows, _ = run(build(program_of(loss)), loss, tuple(inputs))
    assert loss_rows[1] == 0 and loss_rows[4] == 0 and loss_rows[5].isnan()
    if by_rows:
        check(loss, build(program_of(loss)), tuple(inputs))


@pytest.mark.parametrize("path", [p for p in EXAMPLES if "real[C]" in p.read_text()], ids=lambda p: p.stem)
def test_a_nan_poisons_its_own_row_only(path: Path, build: Build) -> None:
    loss = loss_of(path.read_text())
    module = build(program_of(loss))
    logits, target = batch(loss, 6, 10)
    clean, clean_grads = run(module, loss, (logits, target))
    logits[2, 7] = float("nan")
    value, grads = run(module, loss, (logits, target))
    others = torch.arange(6) != 2
    assert value[2].isnan() and grads["z"][2].isnan().all()
    assert torch.equal(value[others], clean[others])
    assert torch.equal(grads["z"][others], clean_grads["z"][others])


def test_a_masked_class_contributes_nothing(build: Build) -> None:
    loss = loss_of("loss ce(z: real[C], t: class[C]) = -log(softmax(z))[t]")
    logits, target = batch(loss, 4, 7)
    target[:] = 3
    logits[:, 5] = -float("inf")
    value, grads = run(build(program_of(loss)), loss, (logits, target))
    kept = [0, 1, 2, 3, 4, 6]
    close(value, torch.nn.functional.cross_entropy(logits[:, kept].double(), target, reduction="none"))
    assert (grads["z"][:, 5] == 0).all() and grads["z"].isfinite().all()


PADDED = [
    "sum(exp(-z))",
    "sum(cos(z))",
    "min(z)",
    "max(z)",
    "sum(1 / z)",
    "sum(log(z))",
    "max(1 - z)",
    "sum(2 + 0 * z)",
]


@pytest.mark.parametrize("classes", [1, 3, 33])
@pytest.mark.parametrize("body", [*PADDED, "min(cos(z)) + max(-z)"])
def test_padding_never_leaks(body: str, classes: int, build: Build) -> None:
    """All logits are positive and above any padding value; in memory NaN lies between the rows."""
    loss = loss_of(f"loss f(z: real[C]) = {body}")
    memory = torch.full((5, 64), float("nan"))
    memory[:, :classes] = batch(loss, 5, classes)[0].abs() + 2
    check(loss, build(program_of(loss)), (memory[:, :classes],))


def test_an_output_is_written_nowhere_but_in_its_rows(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    loss = loss_of("loss ce(z: real[C], t: class[C]; k = 2) = -k * log(softmax(z))[t]")
    module = build(program_of(loss))
    arenas = []

    def allocate(shape: int | tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
        arenas.append(torch.full((math.prod(np.atleast_1d(shape)) + 4096,), 7.0, dtype=dtype, device=device))
        return arenas[-1][: math.prod(np.atleast_1d(shape))].view(shape)

    monkeypatch.setattr(module.torch, "empty", allocate)
    value, grads = run(module, loss, batch(loss, 5, 6))
    for arena, output in zip(arenas, [value, *grads.values()], strict=True):
        assert (arena[output.numel() :] == 7).all()


def test_only_wanted_gradients_are_returned_and_do_not_depend_on_the_others(build: Build) -> None:
    loss = loss_of((EXAMPLES[0].parent / "baikal_cma.glo").read_text())
    module = build(program_of(loss))
    inputs = batch(loss, 5, 4)
    value, grads = run(module, loss, inputs)
    for wrt in [(), ("c2",), ("c3", "z")]:
        some_value, some = run(module, loss, inputs, wrt)
        assert torch.equal(some_value, value) and list(some) == list(wrt)
        assert all(torch.equal(some[name], grads[name]) for name in wrt)


@pytest.mark.parametrize("name", ["focal", "huber"])
def test_an_empty_batch_gives_empty_outputs(name: str, build: Build) -> None:
    loss = loss_of((EXAMPLES[0].parent / f"{name}.glo").read_text())
    inputs = batch(loss, 0, 10)
    value, grads = run(build(program_of(loss)), loss, inputs)
    assert value.shape == (0,)
    assert [g.shape for g in grads.values()] == [t.shape for t in inputs if t.is_floating_point()] + [(0,)] * len(
        loss.params
    )


def test_hostile_names_collide_with_nothing(build: Build) -> None:
    loss = loss_of(
        "loss lambda(tl: real[C], int: class[C], rows: real, z: real, z_ptr: real[C], z_row_stride: real,"
        " mask: bool[C], row: shared real[C], __import__: real, float: real;"
        " v0 = 2, z_ptr_ptr = 3, scale = 1.5, _max = -1, launch = 2) ="
        " v0 * tl[int] * z + z_ptr_ptr * sum(if mask then z_ptr * row else tl) + scale * z_row_stride * rows"
        " + max(tl, 0.5)[int] * _max * __import__ * float ^ launch"
    )
    check(loss, build(program_of(loss)), batch(loss, 3, 5))


def test_too_many_classes_are_refused_by_name_of_the_limit(build: Build) -> None:
    module = build(program_of(loss_of("loss f(z: real[C]) = sum(z)")))
    assert module._tile(131072) == {"ROWS": 1, "BLOCK": 131072, "num_warps": 16}
    assert module._tile(0)["BLOCK"] == module._tile(1)["BLOCK"] == 1
    with pytest.raises(ValueError, match="131072"):
        module.launch((torch.zeros(0, 131073),), torch.zeros(0), (), torch.ones(1), IGNORED)


EDGES = [
    0.0,
    1e-30,
    1e-8,
    1e-3,
    0.3,
    0.5,
    0.7,
    1.0,
    1.5,
    2.0,
    3.0,
    7.0,
    20.0,
    60.0,
    88.0,
    1e4,
    16777218.0,
    1e38,
    math.inf,
]
EDGES = [*EDGES, *(-x for x in EDGES[1:]), math.nan]
ONE = ["log1p", "expm1", "tanh", "sigmoid", "softplus", "log_sigmoid", "relu", "abs", "floor", "exp", "sqrt", "erf"]
TWO = ["x ^ y", "max(x, y)", "min(x, y)", "xlogy(x, y)", "clamp(x, -2, y)", "clamp(x, y, 3)"]
LITERAL = [
    "x ^ 2.5",
    "x ^ 3",
    "2 ^ x",
    "0 ^ x",
    "max(x, 0.5)",
    "min(-1, x)",
    "xlogy(2, x)",
    "xlogy(x, 2)",
    "xlogy(0, x)",
]


@pytest.mark.parametrize("body", [f"{name}(x)" for name in ONE] + TWO + LITERAL)
def test_functions_at_the_edges_are_those_of_torch(body: str, build: Build) -> None:
    loss = loss_of(f"loss f(x: real, y: real) = {body} + 0 * stop(1)")
    grid = torch.tensor(list(itertools.product(EDGES, EDGES)))
    inputs = (grid[:, 0].contiguous(), grid[:, 1].contiguous())
    value, _ = run(build(compile_program(loss, [])), loss, inputs, wrt=())
    want = reference(loss, inputs)[0].float()
    tiny = want.abs() < 2.0**-126
    torch.testing.assert_close(value[~tiny], want[~tiny], rtol=2e-5 if "^" in body else 5e-7, atol=0, equal_nan=True)
    assert (value[tiny].abs() <= 2.0**-126).all()


def test_sign_keeps_nan(build: Build) -> None:
    loss = loss_of("loss f(x: real) = sign(x)")
    value, _ = run(build(program_of(loss)), loss, (torch.tensor([-2.0, 0.0, 3.0, math.nan]),))
    torch.testing.assert_close(value, torch.tensor([-1.0, 0.0, 1.0, math.nan]), equal_nan=True)


def test_operators_of_literals_only(build: Build) -> None:
    """The simplifier folds them, but a Program may hold them all the same."""
    program = program_of(loss_of("loss f(x: real) = x"))
    literals = {
        "exp": (2.0,),
        "pow": (3.0, 2.0),
        "maximum": (1.0, 4.0),
        "not": (0.0,),
        "and": (1.0, 1.0),
        "stop": (5.0,),
    }
    code = [Instr(f"v9{n}", OPS[op], args, "real", Rate.UNIFORM) for n, (op, args) in enumerate(literals.items())]
    code += [Instr("v97", OPS["and"], ("v93", 1.0), "bool", Rate.UNIFORM)]
    code += [Instr("v98", OPS["select"], ("v97", 1e-40, math.inf), "real", Rate.UNIFORM)]
    for out, want in [("v90", math.exp(2)), ("v91", 9.0), ("v92", 4.0), ("v95", 5.0), ("v98", 1e-40)]:
        module = build(replace(program, uniform=tuple(code), results=(("loss", out),), gradients=()))
        value, _ = module.launch((torch.zeros(3),), torch.zeros(0), (), torch.ones(1))
        torch.testing.assert_close(value, torch.full((3,), want), rtol=1e-6, atol=0)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_the_text_is_deterministic_and_self_contained(path: Path) -> None:
    program = program_of(loss_of(path.read_text()))
    text = emit_triton(program)
    assert text == emit_triton(program)
    assert max(map(len, text.splitlines())) <= 120
    imported = [
        a.name for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Import | ast.ImportFrom) for a in n.names
    ]
    assert imported == ["torch", "triton", "triton.language"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_every_helper_is_used_and_defined_before_its_callers(path: Path) -> None:
    tree = ast.parse(emit_triton(program_of(loss_of(path.read_text()))))
    defined: list[str] = []
    used: set[str] = set()
    for function in (n for n in tree.body if isinstance(n, ast.FunctionDef)):
        names = {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and n.id.startswith("_")}
        assert names <= set(defined)
        used |= names
        defined.append(function.name)
    assert {name for name in defined if name.startswith("_")} == used


@pytest.mark.parametrize(
    "text",
    [
        "loss f(w: shared real[C]) = sum(w)",
        "loss f(x: real, t: class[C]) = x * max(onehot(t))",
        "loss f(x: real) = x * C",
    ],
)
def test_what_has_no_rows_or_no_class_count_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^f has"):
        emit_triton(program_of(loss_of(text)))
