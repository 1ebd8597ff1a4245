"""A fix leaves a text about which the same thing is not said any more."""

from __future__ import annotations

from pathlib import Path

import pytest

from glo_dsl.editor.fixes import fixes
from glo_dsl.editor.library import Library
from glo_dsl.editor.rename import applied
from glo_dsl.lang.definitions import check

FIXED = {
    "loss f(z: real[C]) = sum(sotfmax(z))": "loss f(z: real[C]) = sum(softmax(z))",
    "loss f(logits: real[C]) = sum(logitss)": "loss f(logits: real[C]) = sum(logits)",
    "loss f(z: rael[C]) = sum(z)": "loss f(z: real[C]) = sum(z)",
    "loss f(z: shared rael[C], p: real) = p * sum(z)": "loss f(z: shared real[C], p: real) = p * sum(z)",
    "import stdd\nloss f(x: real) = x": "import std\nloss f(x: real) = x",
    "loss f(x: real; gamma = 1) = gamma * x\nloss g(x: real) = f(x; gama = 2)":
        "loss f(x: real; gamma = 1) = gamma * x\nloss g(x: real) = f(x; gamma = 2)",
    "loss focus(x: real) = x\nlaw focis.l: focus(x) == x": "loss focus(x: real) = x\nlaw focus.l: focus(x) == x",
    'import "othr.glo"\nloss f(x: real) = far(x)': 'import "other.glo"\nloss f(x: real) = far(x)',
    "loss f(x: real, y: real) = x": "loss f(x: real, _y: real) = x",
    "loss f(x: real; k = 1) = x\nlaw f.l: f(x; k = k) == k": "loss f(x: real; _k = 1) = x\n"
                                                             "law f.l: f(x; _k = _k) == _k",
    "loss f(x: real) = let y = 1 in x": "loss f(x: real) = let _y = 1 in x",
    "def g(a, b) = a\nloss f(x: real) = g(x, 1)": "def g(a, _b) = a\nloss f(x: real) = g(x, 1)",
    "# Mine.\nloss f(z: real[C], t: class[C]) = cross_entropy(z, t)":
        "import std\n# Mine.\nloss f(z: real[C], t: class[C]) = cross_entropy(z, t)",
}  # fmt: skip


@pytest.mark.parametrize("text", FIXED)
def test_a_fix_mends(text: str, tmp_path: Path) -> None:
    (tmp_path / "other.glo").write_text("loss far(x: real) = x")
    path = tmp_path / "main.glo"
    found = [(d, fix) for d in check(text, "main.glo", path).diagnostics for fix in fixes(Library(text, path), d)]
    assert [applied(text, list(fix.edits)) for _, fix in found] == [FIXED[text]]
    after = check(FIXED[text], "main.glo", path).diagnostics
    assert found[0][0].code not in [d.code for d in after], after


@pytest.mark.parametrize("text", ["loss f(x: real) = x +", "loss f(x: real) = qqqq(x)", "loss f(x: real) = x x"])
def test_where_nothing_is_meant_nothing_is_offered(text: str) -> None:
    assert not [fix for d in check(text).diagnostics for fix in fixes(Library(text), d)]


def test_an_underscore_that_is_taken_is_not_offered() -> None:
    text = "loss f(x: real, y: real, _y: real) = x"
    assert not [fix for d in check(text).diagnostics for fix in fixes(Library(text), d)]
