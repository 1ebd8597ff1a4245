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
from tests.codegen.launching import Build


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
