"""A hostile text gets an answer in bounded time, and never more than an answer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import glo_dsl as glo
from glo_dsl.ir.expr import Expr, size, var, walk
from glo_dsl.ir.types import REAL
from glo_dsl.lang import terms
from glo_dsl.lang.elaborate import MAX_TERMS, parse_expression
from glo_dsl.lang.show import show
from glo_dsl.lang.syntax import MAX_TEXT
from glo_dsl.passes.pipeline import derive

X = var("x", REAL)
DEEP = 5000


@contextmanager
def within(seconds: float) -> Iterator[None]:
    began = time.process_time()  # of this process: others may be busy
    yield
    assert time.process_time() - began < seconds


def refused(text: str, message: str, seconds: float = 5) -> None:
    with within(seconds), pytest.raises(glo.GloError, match=message) as error:
        glo.loads(text)
    assert len(str(error.value)) < 1000


def test_three_thousand_brackets_are_one_error() -> None:
    refused("loss f(x: real) = " + "(" * 3000 + "x" + ")" * 3000, "brackets are nested more than 200 deep")
    refused("loss f(x: real) = " + "(" * 3000, "brackets are nested")
    refused("loss f(x: real) = x" + ")" * 3000, r"unexpected '\)'")
    refused("loss f(x: real) = x" + "[x" * 3000, "brackets are nested")


def test_a_text_beyond_the_limit_is_not_read() -> None:
    refused("#" * (MAX_TEXT + 1), "the limit is", 0.5)


@pytest.mark.parametrize("unit", ["x ", "let x = ", "-", "é"])
def test_the_largest_text_allowed_is_answered(unit: str) -> None:
    with within(30), pytest.raises(glo.GloError):
        glo.loads("loss f(x: real) = " + unit * ((MAX_TEXT - 100) // len(unit)))


def test_nul_bytes_and_strange_characters_are_named() -> None:
    refused("loss f(x: real) = \x00", r"unexpected character '\\x00'")
    refused("loss f(x: real) = x\u202e", r"unexpected character '\\u202e'")
    refused("loss \N{GREEK SMALL LETTER LAMDA}(x: real) = x", "unexpected character")
    refused("loss f(x: real) = \ud800", r"unexpected character '\\ud800'")


CHAINS = {
    "minus": ("-" * DEEP + "x", DEEP),
    "power": ("x ^ " * DEEP + "x", DEEP),
    "choice": ("if x > 0 then x else " * DEEP + "x", DEEP),
    "choice in a condition": ("if (" * 150 + "x" + ") > 0 then x else 0" * 150, 150),
    "let": ("let y = x + x in " * DEEP + "y", 1),
    "let of ever new names": ("".join(f"let y{n} = x + {n} in " for n in range(DEEP)) + "y0", 1),
    "sum": ("x + " * DEEP + "x", DEEP),
    "not": ("if " + "not " * DEEP + "x > 0 then 1 else 0", DEEP),
}


@pytest.mark.parametrize(("text", "nodes"), CHAINS.values(), ids=CHAINS)
def test_deep_chains_meet_no_recursion_limit(text: str, nodes: int) -> None:
    with within(20):
        (loss,) = glo.loads(f"loss f(x: real) = {text}").values()
        assert size(loss.expr) >= nodes
        assert show(loss.expr)


@pytest.mark.parametrize("name", ["minus", "let", "choice in a condition"])
def test_deep_chains_have_gradients(name: str) -> None:
    with within(20):
        (loss,) = glo.loads(f"loss f(x: real) = {CHAINS[name][0]}").values()
        assert derive(loss, ["x"]).gradients


def test_a_ladder_of_a_thousand_choices_has_a_gradient() -> None:
    with within(20):
        (loss,) = glo.loads("loss f(x: real) = " + "if x > 0 then x else " * 1000 + "x").values()
        assert derive(loss, ["x"]).gradients


def test_let_doubling_costs_what_it_holds() -> None:
    with within(5):
        text = "let a0 = x, " + ", ".join(f"a{n + 1} = a{n} * a{n}" for n in range(200)) + " in a200"
        (loss,) = glo.loads(f"loss f(x: real) = {text}").values()
        assert size(loss.expr) == 2**201 - 1
        assert sum(1 for _ in walk([loss.expr])) == 201
        assert parse_expression(show(loss.expr), {"x": X}) is loss.expr


def test_def_doubling_costs_what_it_holds() -> None:
    with within(5):
        defs = "def f0(x) = x + 1\n" + "\n".join(f"def f{n + 1}(x) = f{n}(x) * f{n}(x)" for n in range(200))
        (loss,) = glo.loads(f"{defs}\nloss f(x: real) = f200(x)").values()
        assert sum(1 for _ in walk([loss.expr])) == 203


def test_def_doubling_over_ever_new_arguments_is_refused() -> None:
    defs = "def f0(x) = x\n" + "\n".join(f"def f{n + 1}(x) = f{n}(x + 1) * f{n}(x + 2)" for n in range(60))
    refused(f"{defs}\nloss f(x: real) = f60(x)", f"more than {MAX_TERMS} terms", 20)


def test_a_large_def_called_often_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terms, "MAX_TERMS", 20_000)
    body, calls = " + ".join(["x * x"] * 2000), " + ".join(f"g(x + {n})" for n in range(4000))
    refused(f"def g(x) = {body}\nloss f(x: real) = {calls}", "more than 20000 terms", 5)


@pytest.mark.parametrize("defs", ["def f(x) = f(x)", "def f(x) = g(x)\ndef g(x) = f(x)", "def f(x) = 1 + f(x + 1)"])
def test_recursion_is_refused(defs: str) -> None:
    refused(f"{defs}\nloss l(x: real) = f(x)", "f is defined by itself")


def test_text_never_becomes_code() -> None:
    for name in ("__import__", "lambda", "exec", "tl", "torch", "int"):
        (loss,) = glo.loads(f"loss {name}({name}: real) = {name} * 2").values()
        fn = glo.compile(loss, target="torch")
        import torch

        assert fn(torch.tensor([2.0])).item() == 4.0


LINE = "loss def f x ( ) [ ] : real C = + - ^ let in if then else ? 1 ; , # * not true class shared <"
WORDS = (*LINE.split(), "\n")
TEXTS = st.text(max_size=60) | st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join)


@settings(max_examples=2 * settings().max_examples)
@given(TEXTS)
def test_any_text_gives_losses_or_an_error_with_a_place(text: str) -> None:
    try:
        losses = glo.loads(text)
    except glo.GloError as error:
        assert error.span is not None and error.source is not None
        assert 1 <= error.span.line <= text.count("\n") + 1
        assert 1 <= error.span.column <= len(error.source.line(error.span.line)) + 1
        assert str(error)
    else:
        assert all(isinstance(loss.expr, Expr) for loss in losses.values())
