"""The installed commands, each doing its main job in a process that has imported nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Run

FOCAL = Path(__file__).parents[2] / "examples" / "focal.glo"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("glo", "--version"), 0, "glo-dsl "),
        (("glo", "compile", FOCAL), 0, "class CompiledLoss"),
        (("glo-compile", FOCAL, "--emit", "ptx"), 0, ".target sm_90a"),
        (("glo-compile", FOCAL, "--emit", "c"), 0, "#include <math.h>"),
        (("glo", "explain", FOCAL), 0, "focal"),
        (("glo", "fmt", "--diff", FOCAL), 0, ""),
        (("glo", "zoo", "focal"), 0, "loss focal("),
        (("glo", "check", FOCAL, "--examples", "2", "--target", "torch"), 0, "nothing wrong found"),
    ],
)
def test_it_works(installed: Run, words: tuple[object, ...], code: int, said: str) -> None:
    done = installed(*words)
    assert done.returncode == code and said in done.stdout.decode(), done.stderr.decode()


def test_a_mistake_has_exit_code_1(installed: Run) -> None:
    done = installed("glo-compile", "missing.glo")
    assert done.returncode == 1 and "missing.glo" in done.stderr.decode()
