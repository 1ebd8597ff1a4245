"""The package as others see it: what importing costs, what the wheel holds."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_importing_is_cheap() -> None:
    heavy = "('torch', 'triton', 'cma', 'sklearn', 'hypothesis')"
    code = f"import sys, glo_dsl; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_wheel_holds_the_grammar_and_no_generic_name(tmp_path: Path) -> None:
    builder = pytest.importorskip("hatchling.builders.wheel", reason="hatchling builds the wheel")
    wheel = next(builder.WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"]))
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"glo_dsl", "glo_codegen", "glo_dsl-0.1.0.dist-info"}
    assert "glo_dsl/glo.lark" in names and "glo_codegen/triton.py" in names
    assert {"glo_dsl/evolve/report/page.html", "glo_dsl/evolve/report/page.css"} <= set(names)
