"""Triton modules loaded from files, and an interpreter that does not warn."""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from glo_codegen.program import Program
from glo_codegen.triton import emit_triton
from glo_codegen.triton_launch import tiled
from tests.codegen.launching import Build, streaming


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The interpreter computes with numpy, which warns of what is meant: infinities, and junk in masked lanes."""
    with np.errstate(all="ignore"):
        yield


@pytest.fixture(params=["resident", "streaming", "shifting"])
def build(tmp_path: Path, request: pytest.FixtureRequest) -> Build:
    """Loads the module of a program from a file, for Triton reads the source of its functions back.

    Every check is made of both kernel families; the streaming one walks even short rows in several blocks, and once
    more in such that hold vectors, which begin where rows do not.
    """
    number = itertools.count()

    def load(program: Program) -> ModuleType:
        path = tmp_path / f"module{next(number)}.py"
        path.write_text(emit_triton(program))
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        if request.param != "resident":
            if not tiled(program):
                pytest.skip("without a class axis there is nothing to stream")
            streaming(module, program, shifts=request.param == "shifting")
        return module

    return load
