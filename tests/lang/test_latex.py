"""LaTeX that means what the expression means, is well-formed, and stays small; kept for the examples."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import glo_dsl as glo
from glo_dsl.ir.evaluate import Array, evaluate
from glo_dsl.ir.expr import CLASSES, POSITION, Expr, Var, apply, const, hole, truth, var
from glo_dsl.ir.ops import Op
from glo_dsl.ir.table import OPS
from glo_dsl.ir.types import BOOL, BOOL_ROW, CLASS_INDEX, REAL, REAL_ROW, UNIFORM, UNIT, make_type
from glo_dsl.lang import latex as printer
from glo_dsl.lang.elaborate import parse_expression
from glo_dsl.lang.latex import derivative_latex, latex
from glo_dsl.passes.pipeline import derive, differentiable
from glo_dsl.verify.oracle import noisy, wrong
from glo_dsl.verify.strategies import expressions
from tests.lang.latex_reader import value_of

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.glo"))
CLASS_COUNT = 3
VARIABLES: tuple[Var, ...] = (
    var("z", REAL_ROW), var("q", REAL_ROW, UNIT), var("w1", make_type("real", frozenset({"class"}))), var("x", REAL),
    var("margin", REAL), var("t", CLASS_INDEX), var("t2", CLASS_INDEX), var("b", BOOL), var("mask", BOOL_ROW),
    var("gamma", UNIFORM), var("sigma", UNIFORM), var("th0", UNIFORM),
)  # fmt: skip
SCOPE = {v.name: v for v in VARIABLES}
WRITTEN = {
    "z": "z", "q": "q", "w1": "w_{1}", "x": "x", "margin": r"\mathit{margin}", "t": "t", "t2": "t_{2}", "b": "b",
    "mask": r"\mathit{mask}", "gamma": r"\gamma", "sigma": r"\sigma", "th0": r"\theta_{0}",
}  # fmt: skip
NUMBERS = [const(value) for value in (-2.0, 1e-3, -1.5e-7, 2.5e9, 12.0, 0.25, np.pi)]
LEAVES: list[Expr] = [*VARIABLES, *NUMBERS, CLASSES, truth(True)]


def drawn_values(seed: int) -> dict[Var, Array]:
    rng = np.random.default_rng(seed)
    values: dict[Var, Array] = {}
    for v in VARIABLES:
        shape = (1, CLASS_COUNT if v.type.per_class else 1)
        if v.type.kind == "real":
            values[v] = rng.uniform(0, 1, shape) if v.domain == UNIT else rng.uniform(-2, 2, shape)
        else:
            values[v] = rng.integers(0, 2 if v.type.kind == "bool" else CLASS_COUNT, shape)
            values[v] = values[v].astype(bool) if v.type.kind == "bool" else values[v]
    return values


def assert_means_the_same(expr: Expr, text: str, seed: int) -> None:
    """The text read by the reader has the value of the expression, wherever rounding leaves it one."""
    values = drawn_values(seed)
    scope = {WRITTEN[v.name]: a[0] if v.type.per_class else a[0, 0] for v, a in values.items()} | {"C": CLASS_COUNT}
    variants = [expr, *(noisy(expr, n) for n in range(3))]
    truth, *nearby = (np.broadcast_to(a, (1, CLASS_COUNT))[0] for a in evaluate(variants, values, CLASS_COUNT))
    with np.errstate(all="ignore"):
        mine = np.array([value_of(text, scope, CLASS_COUNT, "c", k) for k in range(CLASS_COUNT)], dtype=np.float64)
    truth, nearby = truth.astype(np.float64), [n.astype(np.float64) for n in nearby]
    bad = wrong(mine, truth, nearby, 1e-8) & np.isfinite(mine)  # the plain formula may overflow where ours does not
    assert not bad.any(), f"{text}\nis {mine}, not {truth}"


def assert_well_formed(text: str) -> None:
    depth = 0
    for mark in re.findall(r"\\\\|\\[{}]|[{}]", text):
        depth += {"{": 1, "}": -1}.get(mark, 0)
        assert depth >= 0
    assert depth == 0
    open_pairs: list[str] = []
    for command, mark in re.findall(r"\\(left|right|begin|end)(?![A-Za-z])(\\?[^A-Za-z{]|\\[a-z]+|\{[a-z]+\})", text):
        if command in ("left", "begin"):
            open_pairs.append({"(": ")", "|": "|", r"\lfloor": r"\rfloor"}.get(mark, mark))
        else:
            assert open_pairs.pop() == mark
    assert not open_pairs
    assert "_{}" not in text and "^{}" not in text and not re.search(r"\}_\{[^{}]*\}_\{", text)


@pytest.mark.parametrize("type", [REAL, REAL_ROW, BOOL, BOOL_ROW], ids=str)
@given(st.data(), st.integers(0, 2**32 - 1))
def test_the_text_means_the_expression(type: Any, data: st.DataObject, seed: int) -> None:
    expr = data.draw(expressions(LEAVES, type, max_depth=5))
    text = latex(expr)
    assert_well_formed(text)
    assert_means_the_same(expr, text, seed)


@pytest.mark.parametrize("type", [REAL, REAL_ROW], ids=str)
@settings(max_examples=settings().max_examples // 2)
@given(st.data(), st.integers(0, 2**32 - 1))
def test_so_it_does_where_shared_parts_are_named(type: Any, data: st.DataObject, seed: int) -> None:
    expr = data.draw(expressions(LEAVES, type, max_depth=5))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(printer, "LARGE", 0)
        text = latex(expr)
    assert_well_formed(text)
    assert_means_the_same(expr, text, seed)


@pytest.mark.parametrize("op", OPS.values(), ids=OPS)
def test_every_operator_shows_all_of_its_arguments(op: Op) -> None:
    for template in op.latex[0].split(" or ") if op.latex[0] else ():
        assert sorted(re.findall(r"\{([abc])(?::\d+)?\}", template)) == list("abc"[: op.arity])
        assert ("{i}" in template) == op.reduces
    assert op.latex[0] or op.call.isidentifier()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x + (gamma + 1)", r"x + \gamma + 1"), ("x - (gamma - 1)", r"x - (\gamma - 1)"),
        ("x - gamma - 1", r"x - \gamma - 1"), ("-x * gamma", r"-x \gamma"), ("x * -gamma", r"-x \gamma"),
        ("x * (-gamma + 1)", r"x \cdot (-\gamma + 1)"), ("x + -gamma", r"x - \gamma"), ("x - -gamma", r"x + \gamma"),
        ("x + (-gamma + 1)", r"x - \gamma + 1"), ("-(x + 1)", "-(x + 1)"), ("-(-x)", "x"),
        ("-(x * gamma)", r"-x \gamma"), ("x * 2", "2 x"), ("2 * x * 3", r"2 x \cdot 3"),
        ("x * 2 * sum(z)", r"2 x \sum_{c} z_{c}"), ("2 * x", "2 x"), ("2 * (x + 1)", "2 (x + 1)"),
        ("gamma * (x + 1)", r"\gamma \cdot (x + 1)"), ("sigma * (x)", r"\sigma x"),
        ("sigma * (x + 1)", r"\sigma \cdot (x + 1)"), ("sigmoid(x + 1)", r"\sigma(x + 1)"),
        ("x / 2 / gamma", r"\frac{\frac{x}{2}}{\gamma}"), ("2 * (x / gamma)", r"2 \cdot \frac{x}{\gamma}"),
        ("-x / 2", r"-\frac{x}{2}"), ("x ^ gamma ^ 2", r"x^{\gamma^{2}}"), ("(x ^ gamma) ^ 2", r"(x^{\gamma})^{2}"),
        ("(x / 2) ^ 2", r"\left(\frac{x}{2}\right)^{2}"), ("(-2) ^ x", "(-2)^{x}"), ("-2 ^ x", "-2^{x}"),
        ("exp(x) ^ 2", "(e^{x})^{2}"), ("exp(x / 2)", r"\exp\left(\frac{x}{2}\right)"), ("exp(-x)", "e^{-x}"),
        ("log(x) ^ 2", r"\log(x)^{2}"), ("square(x - 1)", "(x - 1)^{2}"), ("z[t]", "z_{t}"),
        ("z[t2] ^ 2", "z_{t_{2}}^{2}"), ("softmax(z)[t]", r"\operatorname{softmax}(z)_{t}"), ("w1[t]", "w_{1, t}"),
        ("onehot(t)[t2]", r"\mathbb{1}_{t_{2} = t}"), ("sum(z) * x", r"x \sum_{c} z_{c}"),
        ("sum(z * x)", r"\sum_{c} z_{c} x"), ("sum(z) + x", r"\sum_{c} z_{c} + x"),
        ("sum(z + x)", r"\sum_{c} (z_{c} + x)"), ("sum(-z)", r"\sum_{c} (-z_{c})"),
        ("sum(z) ^ 2", r"\left(\sum_{c} z_{c}\right)^{2}"), ("sum(z * sum(w1))", r"\sum_{k} z_{k} \sum_{c} w_{1, c}"),
        ("sum(z) * sum(q)", r"\left(\sum_{c} z_{c}\right) \sum_{c} q_{c}"), ("max(z) - x", r"\max_{c} z_{c} - x"),
        ("max(z - x)", r"\max_{c} (z_{c} - x)"), ("mean(z)", r"\frac{1}{C} \sum_{c} z_{c}"),
        ("logsumexp(z / 2)", r"\log \sum_{c} \exp\left(\frac{z_{c}}{2}\right)"),
        ("z - mean(z)", r"z_{c} - \frac{1}{C} \sum_{k} z_{k}"),
        ("softmax(z * sum(z))", r"\operatorname{softmax}\left(z \sum_{k} z_{k}\right)_{c}"),
        ("log1p(-x)", r"\log(1 - x)"), ("-x * -gamma", r"x \gamma"), ("-x / -gamma", r"\frac{x}{\gamma}"),
        ("x / -gamma", r"-\frac{x}{\gamma}"),
        ("if b then x else if x > 0 then 1 else 2",
         r"\begin{cases} x & \text{if } b \\ 1 & \text{if } x > 0 \\ 2 & \text{otherwise} \end{cases}"),
        ("not b and (x > 0 or x < -1)", r"\lnot b \land (x > 0 \lor x < -1)"), ("pi * x", r"\pi x"),
        ("-inf", r"-\infty"), ("0.0015 * x", r"1.5 \cdot 10^{-3} x"), ("x * 1e-30", "10^{-30} x"),
        ("x ^ 1e-4", "x^{10^{-4}}"), ("1e-4 ^ x", "(10^{-4})^{x}"), ("margin * x", r"\mathit{margin} \, x"),
        ("trigamma(x)", r"\psi'(x)"), ("lgamma(x) ^ 2", r"(\log \Gamma(x))^{2}"),
        ("abs(abs(x) - 1)", r"\left|\left|x\right| - 1\right|"),
    ],
)  # fmt: skip
def test_it_looks_as_one_writes_it(text: str, expected: str) -> None:
    assert latex(parse_expression(text, SCOPE)) == expected


def test_names_that_would_be_mistaken_are_spelled_out() -> None:
    head = "loss f(z: real[C], t: class[C], z_t: real, x1: real, x_1: real, e: real, c: real)"
    text = f"{head} = z[t] + z_t + x1 + x_1 + exp(e) + sum(z) * c"
    expected = (
        r"\mathrm{f}(z, t, \mathtt{z\_t}, x_{1}, \mathtt{x\_1}, \mathit{e}, c) = "
        r"z_{t} + \mathtt{z\_t} + x_{1} + \mathtt{x\_1} + e^{\mathit{e}} + c \sum_{k} z_{k}"
    )
    assert latex(glo.loads(text)["f"]) == expected


def test_holes_and_positions() -> None:
    x, z = SCOPE["x"], SCOPE["z"]
    assert latex(apply("sum", hole("f", (x, z, z, x)))) == r"\sum_{c} f_{?}(x, z_{c}, z_{c}, x)"
    assert latex(apply("sum", apply("select", apply("eq", POSITION, SCOPE["t"]), z, x))).startswith(
        r"\sum_{c} \left(\begin{cases} z_{c} & \text{if } c = t"
    )


def test_a_depth_of_thousands_is_no_recursion() -> None:
    expr: Expr = SCOPE["x"]
    for _ in range(3000):
        expr = apply("sin", apply("neg", expr))
    assert_well_formed(latex(expr))


def test_sharing_does_not_explode() -> None:
    expr: Expr = SCOPE["z"]
    for _ in range(60):
        expr = apply("mul", apply("add", expr, SCOPE["x"]), apply("sub", expr, apply("mean", expr)))
    began = time.perf_counter()
    text = latex(apply("sum", expr))
    assert len(text) < 20_000 and time.perf_counter() - began < 5
    assert text.startswith("\\begin{aligned}\n& \\sum_{j} (s_{59, j} + x)")
    assert r"\text{where} \quad s_{1, c} &= (z_{c} + x) \left(z_{c} - \frac{1}{C} \sum_{k} z_{k}\right) \\" in text


def everything(path: Path) -> str:
    """The loss as written, its simplified value and all derivatives."""
    (loss,) = glo.load(path).values()
    texts = [latex(loss)]
    if not loss.holes:
        derived = derive(loss, [v.name for v in differentiable(loss)])
        texts += [latex(derived.value), *(derivative_latex(loss, v, g) for v, g in derived.gradients.items())]
    return "\n\n".join(texts) + "\n"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_the_examples(path: Path, golden: Callable[[str, str], None]) -> None:
    text = everything(path)
    assert_well_formed(text)
    golden(text, f"{path.stem}.tex")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_the_examples_are_typeset(path: Path) -> None:
    mathtext = pytest.importorskip("matplotlib.mathtext")
    beyond = r"\begin"  # cases and aligned are LaTeX's own
    texts = [text for text in everything(path).split("\n\n") if beyond not in text]
    if not texts:
        pytest.skip("nothing but choices, which mathtext has not")
    for text in texts:
        assert mathtext.MathTextParser("path").parse(f"${text.strip()}$").width > 0
