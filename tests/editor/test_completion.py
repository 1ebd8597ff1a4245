from __future__ import annotations

from pathlib import Path

import pytest

from glo_dsl.editor.calls import open_call
from glo_dsl.editor.completion import completions, documented
from tests.editor.marked import at_mark

DEFINITIONS = ["loss", "def", "law", "example", "import"]


def labels(text: str, path: Path | None = None, kind: str = "") -> list[str]:
    library, offset = at_mark(text, path)
    return [p.label for p in completions(library, offset) if kind in ("", p.kind)]


@pytest.mark.parametrize(
    ("text", "fitting"),
    [
        ("¦", DEFINITIONS),
        ("lo¦", DEFINITIONS),
        ("loss ¦", []),
        ("loss f(¦", []),
        ("loss f(x: real, ¦", []),
        ("loss f(x: real; ¦", []),
        ("loss f(x: real) ¦", []),
        ("loss f(x: real; a = 1 ¦", ["in"]),
        ("loss f(x: real ¦", ["in"]),
        ("loss f(x: real in [0, 1] ¦", []),
        ("loss f(x: real; a = (1 ¦", ["and", "or"]),
        ("def f(¦", []),
        ("loss f(x: real) = let ¦", []),
        ("loss f(x: real) = let a = x, ¦", []),
        ("loss f(x: real) = let a = x ¦", ["and", "or", "in"]),
        ("loss f(x: real) = if x > 0 ¦", ["and", "or", "then"]),
        ("loss f(x: real) = if x > 0 then x ¦", ["and", "or", "else"]),
        ("loss f(x: real) = (if x > 0 then x else x ¦", ["and", "or"]),
        ("loss f(x: real) = exp(x ¦", ["and", "or"]),
        ("loss f(x: real) = x ¦", ["and", "or", "per", *DEFINITIONS]),
        ("loss f(x: real) = x a¦", ["and", "or", "per", *DEFINITIONS]),
        ("loss f(x: real) = let a = x in a ¦", ["and", "or", "per", *DEFINITIONS]),
        ("def f(x) = x ¦", ["and", "or", *DEFINITIONS]),
        ("loss f(x: real) = x  law f.l: x > 0 ¦", ["and", "or", "for", *DEFINITIONS]),
        ("loss f(x: real) = x  law f.l: x > 0 for ¦", []),
        ("loss f(x: real) = x  law f.l: x > 0 for k: real ¦", ["in"]),
        ("loss f(x: real) = x  def g(x) = x  law ¦", ["f"]),
        ("loss f(x: real) = x  law f.¦", []),
        ("loss f(x: real) = x  example ¦", ["f"]),
        ("loss f(x: real; a = 1, b = 2) = x  loss g(x: real) = f(x; ¦", ["a", "b"]),
        ("loss f(x: real; a = 1, b = 2) = x  loss g(x: real) = f(x; a = 1, ¦)", ["b"]),
        ("import std  loss g(z: real[C], t: class[C]) = focal(z, t; g¦)", ["gamma"]),
        ("loss g(x: real) = exp(x; ¦)", []),
        ("import ¦", ["std"]),
        ("import std ¦", DEFINITIONS),
        ("loss f(x: real) = x # ¦", []),
        ("# ¦", []),
    ],
)
def test_what_fits_and_nothing_else(text: str, fitting: list[str]) -> None:
    assert labels(text) == fitting


@pytest.mark.parametrize("text", ["loss f(x: ¦", "loss f(x: re¦", "loss f(x: shared ¦", "loss f(x: ¦) = x",
                                  "loss f(x: real) = x law f.l: x > 0 for k: ¦"])  # fmt: skip
def test_types_after_a_colon(text: str) -> None:
    assert labels(text)[:4] == ["real", "real[C]", "prob[C]", "class[C]"]


@pytest.mark.parametrize("text", ["¦", "x + ¦", "exp(¦", "if ¦", "if x > 0 then ¦", "let a = ¦", "-¦", "x ^ e¦", "(¦"])
def test_values_and_functions_where_an_operand_is_due(text: str) -> None:
    found = labels(f"def own(a) = a\nloss f(x: real; k = 1) = {text}")
    assert found[:2] == ["k", "x"]
    assert {"pi", "C", "own", "exp", "softmax", "entropy", "let", "if", "not", "true"} < set(found)
    assert not {"f", "focal", "then", "and", "in"} & set(found) and len(found) == len(set(found))


def test_names_are_those_in_scope() -> None:
    assert labels("loss f(x: real) = (let a = x in a) + (let b = x, c = ¦", kind="value") == ["b", "x"]
    assert labels("loss f(x: real) = let a = x in ¦", kind="value") == ["a", "x"]
    assert labels("def f(u, v) = ¦", kind="value") == ["v", "u"]
    assert labels("loss f(x: real; k = 1) = x  law f.l: ¦ > 0 for n: real", kind="value") == ["n", "k", "x"]
    assert labels("loss f(x: real; k = ¦", kind="value") == []


def test_names_of_other_files(tmp_path: Path) -> None:
    (tmp_path / "other.glo").write_text("loss far(x: real; k = 1) = k * x")
    main = tmp_path / "main.glo"
    assert "far" in labels('import "other.glo"  loss f(x: real) = ¦', main)
    assert labels('import "other.glo"  loss f(x: real) = far(x; ¦', main) == ["k"]
    assert "focal" in labels("import std  loss f(x: real) = ¦")
    assert labels('import "o¦"', main) == ['"other.glo"']


def test_what_a_proposal_replaces(tmp_path: Path) -> None:
    library, offset = at_mark("loss f(x: real) = ex¦")
    assert {(p.start, p.end) for p in completions(library, offset)} == {(18, 20)}
    (tmp_path / "other.glo").write_text("")
    library, offset = at_mark('import "o¦th.glo"', tmp_path / "main.glo")
    assert [(p.start, p.end) for p in completions(library, offset)] == [(7, 16)]


def test_proposals_are_documented() -> None:
    library, _ = at_mark("import std\n# Mine.\ndef own(a) = a ¦")
    assert "Mine." in documented(library, "own") and "Focal loss" in documented(library, "focal")
    assert "natural logarithm" in documented(library, "log") and documented(library, "x") == ""


@pytest.mark.parametrize(
    ("text", "name", "best", "active"),
    [
        ("exp(¦", "exp(a)", 0, 0),
        ("clamp(x, ¦", "clamp(a, b, c)", 0, 1),
        ("clamp(x, exp(1), (x + ¦", "clamp(a, b, c)", 0, 2),
        ("clamp(x, exp(¦", "exp(a)", 0, 0),
        ("g(x; ¦", "g(x: real; a = 1, b = 2)", 0, 1),
        ("g(x; b = ¦", "g(x: real; a = 1, b = 2)", 0, 2),
        ("g(x; b = 1, ¦", "g(x: real; a = 1, b = 2)", 0, 1),
        ("max(x, ¦", "max(a, b)", 0, 1),
        ("cosine(x, ¦", "cosine(a, b, eps)", 0, 1),
    ],
)
def test_the_open_call(text: str, name: str, best: int, active: int) -> None:
    library, offset = at_mark(f"loss g(x: real; a = 1, b = 2) = x\nloss f(x: real) = {text}")
    found = open_call(library, offset)
    assert found is not None
    assert (str(found.signatures[found.best]), found.best, found.active) == (name, best, active)


@pytest.mark.parametrize("text", ["¦", "loss f(x: real¦", "loss f(x: real) = x ¦", "loss f(x: real) = exp(x)¦",
                                  "loss f(x: real) = (x ¦", "loss f(x: real) = ?h(x¦",
                                  "loss f(x: real) = nix(¦"])  # fmt: skip
def test_no_call_is_open(text: str) -> None:
    library, offset = at_mark(text)
    assert open_call(library, offset) is None
