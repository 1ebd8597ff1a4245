from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import glo_dsl as glo
from glo_dsl.evolve.space import space_of, with_coefficients
from glo_dsl.evolve.variation import Vocabulary, random_tree
from glo_dsl.ir.evaluate import evaluate
from glo_dsl.ir.expr import apply, size
from glo_dsl.lang.definitions import losses_of

GLO = "loss glo(z: real[C], t: class[C]) =\n  let y = softmax(z), x = onehot(t) in\n  -mean(?f(x, y))\n"
MARGIN = (
    "def ce(z, t) = -log(softmax(z)[t])\n"
    "loss m(z: real[C], t: class[C]; k = 2 in [0, 3],) = k * ce(z, t) + ?g(max(z), z[t])  # to be found\n"
)


def test_terms_are_called_as_in_the_file() -> None:
    assert [t.name for t in space_of(glo.loads(GLO)["glo"]).terms] == ["x", "y"]
    assert [t.name for t in space_of(glo.loads(MARGIN)["m"]).terms] == ["term_0", "term_1"]


@pytest.mark.parametrize("text", [GLO, MARGIN])
@given(seed=st.integers(0, 2**32 - 1), coefficients=st.booleans())
def test_the_text_means_the_filled_loss(text: str, seed: int, coefficients: bool) -> None:
    space = space_of(next(iter(glo.loads(text).values())))
    genotype = random_tree(Vocabulary(space.terms), np.random.default_rng(seed), 3)
    assume(genotype.type.axes == space.hole.type.axes)  # a constant is no filling of a row
    expr, params = with_coefficients(genotype) if coefficients else (genotype, ())
    written = space.text(expr, params, comment="found\nsomehow")
    read = losses_of(written)["best"]
    assert read.expr is space.fill(expr, params).expr
    assert read.defaults == {**space.loss.defaults, **{p.name: p.default for p in params}}
    assert read.doc.startswith("found\nsomehow")


def test_coefficients_of_one_change_nothing_and_each_node_has_one() -> None:
    space = space_of(glo.loads(GLO)["glo"])
    x, y = space.terms
    genotype = apply("sub", apply("log", y), apply("div", x, y))
    expr, params = with_coefficients(genotype)
    assert len(params) == size(genotype)
    row = np.random.default_rng(0).uniform(0.1, 1, (3, 4))
    defaults = {p.var: np.full((1, 1), p.default) for p in params}
    values = evaluate([genotype, expr], {x: row, y: row**2, **defaults}, 4)
    np.testing.assert_allclose(values[0], values[1])


def test_what_is_found_stands_by_itself() -> None:
    text = """
    import std
    def twice(x) = 2 * x
    loss sharp(z: real[C], t: class[C]; s = 2) = cross_entropy(twice(z), t) * s
    loss unused(x: real) = x * x
    loss m(z: real[C], t: class[C]) = sharp(z, t) + focal(z, t) * ?g(max(z), z[t])
    """
    space = space_of(glo.loads(text)["m"])
    written = space.text(apply("sub", *space.terms), ())
    read = losses_of(written)
    assert list(read) == ["sharp", "best"] and read["best"].expr is space.fill(apply("sub", *space.terms), ()).expr


def test_a_space_cannot_lean_on_other_files(tmp_path: Path) -> None:
    (tmp_path / "b.glo").write_text("def twice(x) = 2 * x")
    (tmp_path / "a.glo").write_text('import "b.glo" loss m(z: real[C], t: class[C]) = z[t] * ?g(twice(max(z)))')
    with pytest.raises(glo.GloError, match="cannot import files"):
        space_of(glo.load(tmp_path / "a.glo")["m"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("loss f(z: real[C]) = sum(z)", "f has no hole"),
        ("loss f(z: real[C]) = sum(?f(z) + ?g(z))", "f has 2 holes"),
    ],
)
def test_a_space_has_one_hole(text: str, message: str) -> None:
    with pytest.raises(glo.GloError, match=message):
        space_of(glo.loads(text)["f"])
