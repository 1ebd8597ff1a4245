"""Generated Python text to a module, from a file in the cache: Triton and tracebacks both need the file."""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path
from types import ModuleType

from glo_dsl.runtime.cache import fetch, key_of


@lru_cache(maxsize=256)
def load_module(text: str) -> ModuleType:
    """The module of this text. The text comes from our printers: names in it are mangled, values are literals.

    It is not entered in `sys.modules`: nobody imports it by name, and property tests, which draw literals from the
    modules they find there, would draw other programs after other kernels have been loaded.
    """
    key = key_of(text)

    def write(path: Path) -> None:
        path.write_text(text, encoding="utf-8")

    path = fetch(key, ".py", write)
    name = f"_glo_{key}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    del module.__name__  # torch.compile would import the module by it; without, it reads the globals of our functions
    return module
