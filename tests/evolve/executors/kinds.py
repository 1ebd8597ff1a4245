"""The kinds of executors that tests run with. Ray is tried where it is installed, which `make ray` does."""

from __future__ import annotations

import importlib.util

import pytest

RAY = pytest.param(
    "ray", marks=pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed: make ray")
)
every = pytest.mark.parametrize("kind", ["in-process", "processes", RAY], indirect=True)
killable = pytest.mark.parametrize("kind", ["processes", RAY], indirect=True)
