"""THE operator table: one row per operator, read by every other part of the system."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from glo_dsl.errors import GloError
from glo_dsl.ir import numeric, ranges
from glo_dsl.ir.ops import UNKNOWN, Op, Range
from glo_dsl.ir.types import INF, Interval

R1 = ("real", "real")
R2 = ("real", "real", "real")
COMPARE = ("real", "real", "bool")
POSITIVE = ((0.05, 3.0),)


def _infix(name: str, sign: str, power: int, vjp: tuple[str, str], numpy: np.ufunc, of: Range, **more: object) -> Op:
    """A binary operator that every target spells with the same sign."""
    text = "({0} " + sign + " {1})"
    row: dict[str, object] = {"smooth": "smooth", "arrays": text, "sympy": text, **more}
    return Op(name, R2, vjp, text, text, text, numpy, notation=(sign, power), word=sign, range=of, **row)  # type: ignore[arg-type]


def _compare(name: str, sign: str, numpy: np.ufunc, latex: str, kinds: tuple[str, ...] = COMPARE) -> Op:
    text = "({0} " + sign + " {1})"
    return Op(
        name, kinds, ("", ""), text, text, text, numpy, arrays=text, sympy=f"sympy.{name.title()}({{0}}, {{1}})",
        notation=(sign, 4), word=sign, smooth="jump", latex=(f"{{a:5}} {latex} {{b:5}}", 4), about=f"a {sign} b",
    )  # fmt: skip


def _falling(function: Callable[[Any], Any]) -> Callable[[Interval], Interval]:
    """Range of a strictly decreasing function."""
    return lambda a: ranges.neg(ranges.rising(lambda x: -function(x))(a))


def _lgamma_range(a: Interval) -> Interval:
    """It falls to its one minimum and rises from there."""
    lowest = 1.4616321449683622
    falls, rises = a.meet(Interval(0.0, lowest)), a.meet(Interval(lowest, INF))
    if falls.empty or rises.empty:
        return _falling(numeric.lgamma)(falls) if rises.empty else ranges.rising(numeric.lgamma)(rises)
    return ranges.select(a, _falling(numeric.lgamma)(falls), ranges.rising(numeric.lgamma)(rises))


ARITHMETIC = (
    _infix("add", "+", 5, ("g", "g"), np.add, ranges.add, commutes=True, weight=1.0,
           latex=(r"{a:5} + {b:5}", 5), about="sum"),
    _infix("sub", "-", 5, ("g", "-g"), np.subtract, ranges.sub, weight=1.0,
           latex=(r"{a:5} - {b:6}", 5), about="difference"),
    _infix("mul", "*", 6, ("g * b", "g * a"), np.multiply, ranges.mul, commutes=True, weight=1.0,
           latex=(r"{a:6} \cdot {b:6}", 6), about="product"),
    _infix(
        "div", "/", 6, ("g / b", "-(g * out / b)"), np.divide, ranges.div,
        domain="b != 0", cost=4, weight=1.0, samples=((-3.0, 3.0), (0.2, 3.0)),
        latex=(r"\frac{{a}}{{b}}", 9), about="quotient",
    ),
    Op("neg", R1, ("-g",), "(-{0})", "(-{0})", "(-{0})", np.negative,
       notation=("-", 7), word="-", range=ranges.neg, latex=(r"-{a:6}", 5),
       arrays="(-{0})", sympy="(-{0})",
       about="minus"),
    Op("pow", R2, ("if b == 0 then 0 else g * b * a ^ (b - 1)", "if a == 0 and b >= 0 then 0 else g * out * log(a)"),
       "_pow({0}, {1})", "real_pow({0}, {1})", "torch.pow({0}, {1})", numeric.power,
       notation=("^", 8), word="^", domain="a > 0", needs="a >= 0 or b whole, a != 0 or b >= 0",
       range=ranges.power, cost=40, samples=((0.05, 3.0), (-2.0, 3.0)),
       latex=(r"{a:10}^{{b}}", 9),
       arrays="{np}.power({np}.where(({0} == 0) & ({1} == 0), 1.0, {0}), {1})", sympy="({0} ** {1})",
       about="power; right-associative, binds tighter than a minus on its left; 0 ^ 0 = 1"),
)  # fmt: skip

ELEMENTARY = (
    Op("exp", R1, ("g * out",), "tl.exp({0})", "real_exp({0})", "torch.exp({0})", np.exp,
       needs="a <= 88", range=ranges.rising(np.exp), cost=12, latex=(r"e^{{a}} or \exp({a})", 9),
       arrays="{np}.exp({0})", sympy="sympy.exp({0})",
       about="e ^ a"),
    Op("expm1", R1, ("g * exp(a)",), "_expm1({0})", "real_expm1({0})", "torch.expm1({0})", np.expm1,
       needs="a <= 88", range=ranges.rising(np.expm1), cost=30, latex=(r"e^{{a}} - 1 or \exp({a}) - 1", 5),
       arrays="{np}.expm1({0})", sympy="(sympy.exp({0}) - 1)",
       about="e ^ a - 1, accurate near 0"),
    Op("log", R1, ("g / a",), "tl.log({0})", "real_log({0})", "torch.log({0})", np.log,
       domain="a > 0", range=ranges.rising(np.log), cost=14, weight=3.0, samples=POSITIVE, latex=(r"\log({a})", 10),
       arrays="{np}.log({0})", sympy="sympy.log({0})",
       about="natural logarithm"),
    Op("log1p", R1, ("g / (1 + a)",), "_log1p({0})", "real_log1p({0})", "torch.log1p({0})", np.log1p,
       domain="a > -1", range=ranges.rising(np.log1p), cost=18, samples=((-0.9, 3.0),),
       latex=(r"\log(1 + {a:5})", 10),
       arrays="{np}.log1p({0})", sympy="sympy.log(1 + {0})",
       about="log(1 + a), accurate near 0"),
    Op("sqrt", R1, ("g / (2 * out)",), "tl.sqrt({0})", "real_sqrt({0})", "torch.sqrt({0})", np.sqrt,
       domain="a > 0", needs="a >= 0", range=ranges.sqrt, cost=8, weight=2.0, samples=POSITIVE,
       latex=(r"\sqrt{{a}}", 9),
       arrays="{np}.sqrt({0})", sympy="sympy.sqrt({0})",
       about="square root"),
    Op("square", R1, ("2 * g * a",), "({0} * {0})", "({0} * {0})", "torch.square({0})", np.square,
       range=ranges.square, weight=1.0, latex=(r"{a:10}^{2}", 9),
       arrays="{np}.square({0})", sympy="({0} ** 2)",
       about="a * a"),
    Op("abs", R1, ("g * sign(a)",), "tl.abs({0})", "real_abs({0})", "torch.abs({0})", np.abs,
       range=ranges.absolute, smooth="kink", latex=(r"\left|{a}\right|", 10),
       arrays="({0} * {np}.sign({0}))", sympy="sympy.Abs({0})",
       about="absolute value; derivative 0 at 0"),
    Op("sign", R1, ("0",), "_sign({0})", "real_sign({0})", "torch.where({0} == {0}, torch.sign({0}), {0})", np.sign,
       range=ranges.fixed(-1, 1), smooth="jump", latex=(r"\operatorname{sgn}({a})", 10),
       arrays="{np}.sign({0})", sympy="sympy.Piecewise((1, {0} > 0), (-1, {0} < 0), (0, True))",
       about="-1, 0 or 1"),
    Op("floor", R1, ("0",), "tl.floor({0})", "real_floor({0})", "torch.floor({0})", np.floor,
       range=ranges.steps(np.floor), smooth="jump", latex=(r"\left\lfloor {a} \right\rfloor", 10),
       arrays="{np}.floor({0})", sympy="stop(sympy.floor({0}))",
       about="largest integer not above a"),
    Op("sin", R1, ("g * cos(a)",), "tl.sin({0})", "real_sin({0})", "torch.sin({0})", np.sin,
       range=ranges.fixed(-1, 1), cost=20, latex=(r"\sin({a})", 10),
       arrays="{np}.sin({0})", sympy="sympy.sin({0})",
       about="sine"),
    Op("cos", R1, ("-(g * sin(a))",), "tl.cos({0})", "real_cos({0})", "torch.cos({0})", np.cos,
       range=ranges.fixed(-1, 1), cost=20, latex=(r"\cos({a})", 10),
       arrays="{np}.cos({0})", sympy="sympy.cos({0})",
       about="cosine"),
    Op("atan", R1, ("g / (1 + a * a)",), "_atan({0})", "real_atan({0})", "torch.atan({0})", np.arctan,
       range=ranges.rising(np.arctan), cost=20, latex=(r"\arctan({a})", 10),
       arrays="{np}.arctan({0})", sympy="sympy.atan({0})",
       about="arctangent, in (-pi/2, pi/2)"),
    Op("tanh", R1, ("g * (1 - out * out)",), "_tanh({0})", "real_tanh({0})", "torch.tanh({0})", np.tanh,
       range=ranges.rising(np.tanh), cost=30, latex=(r"\tanh({a})", 10),
       arrays="{np}.tanh({0})", sympy="sympy.tanh({0})",
       about="hyperbolic tangent"),
    Op("erf", R1, ("g * 1.1283791670955126 * exp(-(a * a))",), "tl.erf({0})", "real_erf({0})", "torch.erf({0})",
       numeric.erf, range=ranges.rising(numeric.erf), cost=40,
       arrays="special.erf({0})", sympy="sympy.erf({0})",
       about="error function"),
    Op("sigmoid", R1, ("g * out * (1 - out)",), "_sigmoid({0})", "real_sigmoid({0})", "torch.sigmoid({0})",
       numeric.sigmoid, range=ranges.rising(numeric.sigmoid), cost=16, latex=(r"\sigma({a})", 10),
       arrays="special.expit({0})", sympy="(1 / (1 + sympy.exp(-{0})))",
       twins="(if a >= 0 then 1 else e) * (1 / (1 + e))",
       about="1 / (1 + exp(-a))"),
    Op("log_sigmoid", R1, ("g * sigmoid(-a)",), "(-_softplus(-{0}))", "(-real_softplus(-{0}))",
       "torch.nn.functional.logsigmoid({0})", numeric.log_sigmoid,
       range=ranges.rising(numeric.log_sigmoid), cost=32, latex=(r"\log \sigma({a})", 9),
       arrays="(-{np}.logaddexp(0.0, -{0}))", sympy="(-sympy.log(1 + sympy.exp(-{0})))",
       twins="min(a, 0) - log1p(e)",
       about="log(sigmoid(a)), stable"),
    Op("softplus", R1, ("g * sigmoid(a)",), "_softplus({0})", "real_softplus({0})",
       "torch.logaddexp({0}, torch.zeros_like({0}))", numeric.softplus,
       range=ranges.rising(numeric.softplus), cost=32,
       arrays="{np}.logaddexp(0.0, {0})", sympy="sympy.log(1 + sympy.exp({0}))",
       twins="max(a, 0) + log1p(e)",
       about="log(1 + exp(a)), stable"),
    Op("relu", R1, ("if a > 0 then g else 0",), "_max({0}, 0.0)", "real_max({0}, R(0.0))", "torch.relu({0})",
       lambda a: np.maximum(a, 0.0), range=ranges.relu, smooth="kink",
       latex=(r"\operatorname{ReLU}({a})", 10),
       arrays="{np}.where({0} <= 0, 0.0, {0})", sympy="sympy.Piecewise(({0}, {0} > 0), (0, True))",
       about="max(a, 0); derivative 0 at 0"),
)  # fmt: skip

AT_LEAST_0 = "torch.where({0} >= 0, {0} + 0.0, torch.nan)"
"""What PyTorch's gamma functions are given: it reflects them at 0, the other targets do not; and to us -0 is 0."""

NOT_BELOW_0 = "{np}.where({0} >= 0, {0} + 0.0, {np}.nan)"
"""Likewise for SciPy and JAX."""

GAMMA = (
    Op("lgamma", R1, ("g * digamma(a)",), "_lgamma({0})", "real_lgamma({0})", f"torch.lgamma({AT_LEAST_0})",
       numeric.lgamma, domain="a > 0", range=_lgamma_range, cost=60, samples=POSITIVE,
       latex=(r"\log \Gamma({a})", 9),
       arrays=f"special.gammaln({NOT_BELOW_0})", sympy="sympy.loggamma({0})",
       about="log(gamma(a)), so that lgamma(n + 1) is log(n!); infinite at 0, NaN below"),
    Op("digamma", R1, ("g * trigamma(a)",), "_digamma({0})", "real_digamma({0})", f"torch.digamma({AT_LEAST_0})",
       numeric.digamma, domain="a > 0", range=ranges.rising(numeric.digamma), cost=60, samples=POSITIVE,
       latex=(r"\psi({a})", 10),
       arrays=f"special.digamma({NOT_BELOW_0})", sympy="sympy.digamma({0})",
       about="derivative of lgamma; -infinite at 0, NaN below"),
    Op("trigamma", R1, (UNKNOWN,), "_trigamma({0})", "real_trigamma({0})", f"torch.special.zeta(2, {AT_LEAST_0})",
       numeric.trigamma, domain="a > 0", range=_falling(numeric.trigamma), cost=40, samples=POSITIVE,
       latex=(r"\psi'({a})", 10),
       arrays=f"special.zeta(2.0, {NOT_BELOW_0})", sympy="sympy.trigamma({0})",
       about="derivative of digamma; infinite at 0, NaN below"),
)  # fmt: skip

CHOICE = (
    Op("maximum", R2,
       ("if a > b then g else if a == b then g / 2 else 0", "if b > a then g else if a == b then g / 2 else 0"),
       "_max({0}, {1})", "real_max({0}, {1})", "torch.maximum({0}, {1})", np.maximum,
       word="max", range=ranges.maximum, smooth="kink", commutes=True,
       latex=(r"\max({a}, {b})", 10),
       arrays="{np}.maximum({0}, {1})", sympy="sympy.Max({0}, {1})",
       about="the larger one; a tie halves the gradient"),
    Op("minimum", R2,
       ("if a < b then g else if a == b then g / 2 else 0", "if b < a then g else if a == b then g / 2 else 0"),
       "_min({0}, {1})", "real_min({0}, {1})", "torch.minimum({0}, {1})", np.minimum,
       word="min", range=ranges.minimum, smooth="kink", commutes=True,
       latex=(r"\min({a}, {b})", 10),
       arrays="{np}.minimum({0}, {1})", sympy="sympy.Min({0}, {1})",
       about="the smaller one; a tie halves the gradient"),
    Op("clamp", ("real", "real", "real", "real"),
       ("if a >= b and a <= c then g else 0", "if a < b and b < c then g else 0",
        "if a > c or c < b then g else 0"),
       "_min(_max({0}, {1}), {2})", "real_min(real_max({0}, {1}), {2})",
       "torch.clamp(*torch.broadcast_tensors({0}, {1}, {2}))",
       numeric.clamp, range=ranges.clamp, smooth="kink", samples=((-3.0, 3.0), (-2.0, -0.5), (0.5, 2.0)),
       arrays="{np}.where(({0} > {2}) | ({2} < {1}), {2}, {np}.where({0} < {1}, {1}, {0}))",
       sympy="sympy.Min(sympy.Max({0}, {1}), {2})",
       about="a kept within [b, c]; the gradient passes at the bounds"),
    Op("xlogy", R2, ("if a == 0 and b <= 0 then 0 else g * log(b)", "g * a / b"),
       "_xlogy({0}, {1})", "real_xlogy({0}, {1})", "torch.xlogy({0}, {1})", numeric.xlogy,
       domain="b > 0", needs="b >= 0", cost=18, samples=((-3.0, 3.0), (0.05, 3.0)),
       latex=(r"{a:6} \log({b})", 6),
       arrays="({0} * {np}.log({np}.where(({0} == 0) & (({1} <= 0) | ({1} == {np}.inf)), 1.0, {1})))",
       sympy="sympy.Piecewise((0, sympy.Eq({0}, 0)), ({0} * sympy.log({1}), True))",
       about="a * log(b), and 0 where a is 0"),
    _compare("lt", "<", np.less, "<"),
    _compare("le", "<=", np.less_equal, r"\le"),
    _compare("gt", ">", np.greater, ">"),
    _compare("ge", ">=", np.greater_equal, r"\ge"),
    _compare("eq", "==", np.equal, "=", ("any", "any", "bool")),
    _compare("ne", "!=", np.not_equal, r"\ne", ("any", "any", "bool")),
    Op("and", ("bool", "bool", "bool"), ("", ""), "({0} & {1})", "({0} & {1})", "({0} & {1})", np.logical_and,
       notation=("and", 2), word="and", smooth="jump", commutes=True, latex=(r"{a:2} \land {b:3}", 2),
       arrays="({0} & {1})", sympy="sympy.And({0}, {1})",
       about="both"),
    Op("or", ("bool", "bool", "bool"), ("", ""), "({0} | {1})", "({0} | {1})", "({0} | {1})", np.logical_or,
       notation=("or", 1), word="or", smooth="jump", commutes=True, latex=(r"{a:1} \lor {b:2}", 1),
       arrays="({0} | {1})", sympy="sympy.Or({0}, {1})",
       about="at least one"),
    Op("not", ("bool", "bool"), ("",), "({0} == 0)", "(!{0})", "(~{0})", np.logical_not,
       notation=("not", 3), word="not", smooth="jump", latex=(r"\lnot {a:3}", 3),
       arrays="{np}.logical_not({0})", sympy="sympy.Not({0})",
       about="the opposite"),
    Op("select", ("bool", "real", "real", "real"), ("", "g", "g"),
       "tl.where({0}, {1}, {2})", "({0} ? {1} : {2})", "torch.where({0}, {1}, {2})", np.where,
       word="if", range=ranges.select, smooth="jump",
       latex=(r"\begin{cases} {b} & \text{if } {a} \\ {c} \end{cases}", 0),
       arrays="{np}.where({0}, {1}, {2})", sympy="sympy.Piecewise(({1}, {0}), ({2}, True))",
       about="if a then b else c; nothing of the branch not taken reaches value or gradient"),
    Op("stop", R1, ("0",), "{0}", "{0}", "{0}.detach()", lambda a: a, range=ranges.same,
       arrays="jax.lax.stop_gradient({0})", sympy="stop({0})",
       about="the value without its gradient"),
)  # fmt: skip

OVER_CLASSES = (
    Op("sum", R1, ("g",), "tl.sum({0}, 1, keep_dims=True)", "+", "{0}.sum(-1, keepdim=True)", numeric.total,
       shape="reduce", unvaried="C * a", range=ranges.total, latex=(r"\sum_{{i}} {a:6}", 7),
       arrays="{np}.sum({0}, axis=-1, keepdims=True)", sympy="sympy.Add(*{0})",
       about="sum over the class axis"),
    Op("max", R1, ("if a == out then g / sum(if a == out then 1 else 0) else 0",),
       "tl.reduce({0}, 1, _max, keep_dims=True)", "real_max", "{0}.amax(-1, keepdim=True)", numeric.largest,
       shape="reduce", unvaried="a", range=ranges.same, smooth="kink",
       latex=(r"\max_{{i}} {a:10}", 7),
       arrays="{np}.max({0}, axis=-1, keepdims=True)", sympy="sympy.Max(*{0})",
       about="largest over the class axis; ties share the gradient"),
    Op("min", R1, ("if a == out then g / sum(if a == out then 1 else 0) else 0",),
       "tl.reduce({0}, 1, _min, keep_dims=True)", "real_min", "{0}.amin(-1, keepdim=True)", numeric.smallest,
       shape="reduce", unvaried="a", range=ranges.same, smooth="kink",
       latex=(r"\min_{{i}} {a:10}", 7),
       arrays="{np}.min({0}, axis=-1, keepdims=True)", sympy="sympy.Min(*{0})",
       about="smallest over the class axis; ties share the gradient"),
    Op("mean", R1, ("g / C",), "", "", "{0}.mean(-1, keepdim=True)", numeric.mean,
       shape="reduce", define="sum(a) / C", unvaried="a", range=ranges.same, latex=(r"\frac{1}{C} \sum_{{i}} {a:6}", 6),
       arrays="{np}.mean({0}, axis=-1, keepdims=True)",
       about="sum(a) / C"),
    Op("logsumexp", R1, ("g * softmax(a)",), "", "", "torch.logsumexp({0}, -1, keepdim=True)", numeric.logsumexp,
       shape="reduce", define="max(a) + log(sum(exp(a - max(a))))", unvaried="a + log(C)",
       range=ranges.logsumexp, latex=(r"\log \sum_{{i}} e^{{a}} or \log \sum_{{i}} \exp({a})", 7),
       arrays="special.logsumexp({0}, axis=-1, keepdims=True)",
       sympy="sympy.log(sympy.Add(*[sympy.exp(a) for a in {0}]))",
       about="log(sum(exp(a))), stable"),
    Op("softmax", R1, ("out * (g - sum(g * out))",), "", "", "torch.softmax({0}, -1)", numeric.softmax,
       shape="row", define="exp(a - max(a)) * (1 / sum(exp(a - max(a))))", unvaried="1 / C",
       range=lambda _: ranges.SOFTMAX,
       arrays="special.softmax({0}, axis=-1)",
       sympy="[sympy.exp(a) / sympy.Add(*[sympy.exp(b) for b in {0}]) for a in {0}]",
       about="exp(a) / sum(exp(a)), stable"),
    Op("log_softmax", R1, ("g - softmax(a) * sum(g)",), "", "", "torch.log_softmax({0}, -1)", numeric.log_softmax,
       shape="row", define="(a - max(a)) - log(sum(exp(a - max(a))))", unvaried="-log(C)",
       range=ranges.fixed(-np.inf, 0), latex=(r"\log \operatorname{softmax}({a})", 9),
       arrays="special.log_softmax({0}, axis=-1)",
       sympy="[a - sympy.log(sympy.Add(*[sympy.exp(b) for b in {0}])) for a in {0}]",
       about="log(softmax(a)), stable"),
    Op("gather", ("any", "class", "any"), ("g * onehot(b)", ""), "", "", "torch.gather({0}, -1, {1})",
       numeric.gather, shape="gather", word="[]", range=ranges.same, latex=(r"{a:10}_{{b}}", 10),
       arrays="{np}.take_along_axis({0}, {1}, axis=-1)", sympy="{0}[{1}]",
       about="z[t]: the entry of class t"),
    Op("onehot", ("class", "real"), ("",), "", "", "torch.nn.functional.one_hot({0}[..., 0], C).to(dtype)", None,
       shape="onehot", define="if position == a then 1 else 0", range=ranges.fixed(0, 1),
       latex=(r"\mathbb{1}_{{a}}", 10),
       about="1 at class t, 0 elsewhere"),
)  # fmt: skip

OPS: dict[str, Op] = {op.name: op for op in ARITHMETIC + ELEMENTARY + GAMMA + CHOICE + OVER_CLASSES}
_BY_CALL: dict[str, list[Op]] = {}
for _op in OPS.values():
    _BY_CALL.setdefault(_op.call, []).append(_op)

FUNCTIONS: tuple[str, ...] = tuple(w for w in _BY_CALL if w.isidentifier() and w not in ("and", "or", "not", "if"))


def function(word: str, arity: int) -> Op:
    """The row that `word(...)` with this many arguments means.

    Raises:
        GloError: no such word, or none of that arity.

    >>> function("max", 2).name, function("max", 1).name
    ('maximum', 'max')
    """
    rows = _BY_CALL.get(word, []) if word in FUNCTIONS else []
    if not rows:
        raise GloError(f"no function {word}", code="unknown-function")
    for row in rows:
        if row.arity == arity:
            return row
    arities = " or ".join(str(arity) for arity in sorted(row.arity for row in rows))
    plural = "" if arities == "1" else "s"
    raise GloError(f"{word} takes {arities} argument{plural}, got {arity}", code="argument-count")
