"""Rows on chip of several blocks that work together: compiled by a Triton that can, which is not the one of PyTorch.

`make clusters` installs one and says where; without it there is nothing to compile with.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from glo_dsl.runtime.resources import tool

LOSSES = ("cross_entropy", "focal", "brier", "poly1", "forward_kl", "taylor3", "nll")
CTAS = (2, 8, 16)

COMPILER = """
import json, sys
import triton
import glo_dsl as glo
from glo_codegen.triton_tiles import Tile, sizes
from glo_dsl.passes.pipeline import whole_program
from glo_dsl.runtime.resources import usage
from glo_dsl.runtime.triton_compile import build_triton

assert tuple(map(int, triton.__version__.split(".")[:2])) >= (3, 8), triton.__version__
losses, ctas = json.loads(sys.argv[1])
found = {}
for name in losses:
    program = whole_program(glo.zoo[name])
    longest, _ = sizes(program)
    for count in ctas:
        classes = min(longest * count, 262144)
        table = (Tile(classes, 16, count), Tile(1024, 16, streams=True))
        for target in ("cuda:90", "cuda:100"):
            built = build_triton(program, target, "bfloat16", classes, tiles=table)
            used = usage(built.asm["cubin"])
            found[f"{name} {classes} {target}"] = {
                "registers": used.registers, "stack": used.stack, "spills": used.spills, "block": built.tile["BLOCK"],
                "classes": classes, "streams": built.symbol.endswith("stream_kernel"),
                "meets": "barrier.cluster" in built.asm["ptx"],
            }
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def compiled() -> dict[str, dict[str, int]]:
    place = os.environ.get("GLO_TRITON", "")
    if not (Path(place) / "triton").is_dir() or not place:
        pytest.skip("no Triton for clusters: make clusters")
    paths = [place, *(str(Path(__file__).parents[2] / folder) for folder in (".", "codegen"))]
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    environment |= {"PYTHONPATH": os.pathsep.join(paths), "TRITON_DEFAULT_FP_FUSION": "1"}
    command = [sys.executable, "-c", COMPILER, json.dumps([LOSSES, CTAS])]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, int]] = json.loads(done.stdout)
    return found


def test_a_cluster_holds_a_row_without_spilling(compiled: dict[str, dict[str, int]]) -> None:
    assert len(compiled) == 2 * len(LOSSES) * len(CTAS)
    for what, used in compiled.items():
        assert used["block"] == used["classes"] and not used["streams"] and used["meets"], what
        if tool() is not None:
            assert used["registers"] <= 128 and not used["stack"] and not used["spills"], (what, used)


def test_a_row_of_262144_classes_fits(compiled: dict[str, dict[str, int]]) -> None:
    assert any(used["classes"] == 262144 for used in compiled.values())
