"""docs/export.md: its examples run, and what it counts is so."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

import glo_dsl as glo
from glo_dsl.exports.formulas import LONGEST
from glo_dsl.exports.texts import LARGEST
from glo_dsl.ir.expr import size
from glo_dsl.passes.pipeline import differentiable

TEXT = (Path(__file__).parents[2] / "docs" / "export.md").read_text()


@pytest.mark.parametrize("number", range(len(re.findall(r"^```python", TEXT, re.M))))
def test_its_examples_run(number: int, tmp_path: Path) -> None:
    (tmp_path / "block.py").write_text(re.findall(r"^```python\n(.*?)^```$", TEXT, re.M | re.S)[number])
    runpy.run_path(str(tmp_path / "block.py"))


def test_what_it_counts_is_so() -> None:
    text = " ".join(TEXT.split())
    assert f"Of the {len(glo.zoo)} losses of the library one" in text
    assert f"more than {LARGEST} operations" in text and f"up to {LONGEST} characters" in text
    assert f"has {size(glo.zoo['bi_tempered'].expr) // 10**6} million" in text
    assert f"of the {sum(1 + len(differentiable(loss)) for loss in glo.zoo.values())} formulas" in text
