"""What every test stands on: the Triton interpreter, a kernel cache of its own, Hypothesis profiles, golden files."""

from __future__ import annotations

import os

os.environ["TRITON_INTERPRET"] = "1"  # before anything imports triton
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # who waits for another thread leaves its core to the other workers

import difflib
import gc
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

if "PYTEST_XDIST_WORKER" not in os.environ:  # workers inherit it, and share what they compile
    _cache = tempfile.TemporaryDirectory(prefix="glo-tests-")
    os.environ["GLO_CACHE_DIR"] = _cache.name

GOLDEN = Path(__file__).parent / "golden"
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]

settings.register_profile("default", derandomize=True, deadline=None, max_examples=100, database=None,
                          suppress_health_check=SLOW)  # fmt: skip
settings.register_profile("nightly", deadline=None, max_examples=5000, suppress_health_check=SLOW)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the files in tests/golden")


@pytest.fixture(autouse=True, scope="session")
def _cheap() -> None:
    """Triton's interpreter without its detours, but at night as it is; what is imported by now stays, and no collector
    looks at it again."""
    from tests.interpreting import install

    if settings().max_examples < 1000:
        install()
    gc.collect()
    gc.freeze()


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """`golden(text, name)` compares a text with tests/golden/NAME, or writes it there under --update-golden."""

    def check(text: str, name: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            return
        kept = path.read_text(encoding="utf-8") if path.exists() else ""
        if text != kept:
            lines = difflib.unified_diff(kept.splitlines(), text.splitlines(), f"golden/{name}", "now", lineterm="")
            pytest.fail("\n".join([*lines, "if this is meant: pytest --update-golden"]), pytrace=False)

    return check


@pytest.fixture
def quick_builds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Builds without optimisation, which takes a sixth of the time; what is printed is the same. Not at night."""
    from glo_dsl.runtime import build_c

    if settings().max_examples < 1000:
        assert "-O2" in build_c.FULL
        monkeypatch.setattr(build_c, "FULL", ("-O0",))
