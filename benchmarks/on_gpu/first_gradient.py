"""A process that compiles losses from their texts and says how long each took: see `compilation`."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import torch

import glo_dsl as glo
from on_gpu.population import generation
from on_gpu.setting import Setting, read_setting

SHAPES = ((128, 10), (512, 1000), (64, 32768))
"""In turns: a kernel is built for each kind of row."""


def gradient_of(setting: Setting, text: str, n: int) -> float:
    """Seconds from the text of a loss to its first gradient."""
    rows, classes = setting.shape(*SHAPES[n % len(SHAPES)])
    z, t = torch.randn(rows, classes, device=setting.device), torch.randint(classes, (rows,), device=setting.device)
    setting.wait()
    begin = time.perf_counter()
    (loss,) = glo.loads(text).values()
    glo.compile(loss, "triton").value_and_grad(z, t)
    setting.wait()
    return time.perf_counter() - begin


def files() -> int:
    """What lies in the caches."""
    folders = [Path(os.environ[name]) for name in ("GLO_CACHE_DIR", "TRITON_CACHE_DIR")]
    return sum(path.is_file() for folder in folders for path in folder.rglob("*"))


def with_other_constants(setting: Setting, calls: int) -> dict[str, float | int]:
    """The same kernel with as many vectors of constants, and what is built for them: nothing."""
    fn = glo.compile(glo.zoo["taylor3"], "triton")
    rows, classes = setting.shape(128, 10)
    z, t = torch.randn(rows, classes, device=setting.device), torch.randint(classes, (rows,), device=setting.device)
    vectors = torch.randn(calls, 8).tolist()
    names = [name for name, _ in fn.spec.params]
    fn.value_and_grad(z, t)
    setting.wait()
    before, begin = files(), time.perf_counter()
    for vector in vectors:
        fn.value_and_grad(z, t, **dict(zip(names, vector)))
    setting.wait()
    taken = (time.perf_counter() - begin) / max(1, calls)
    return {"calls": calls, "calls wrote": files() - before, "us per call": round(1e6 * taken, 2)}


def main() -> None:
    setting, (count, calls) = read_setting(sys.argv[1:])
    first, *texts = [loss.text for loss in generation(int(count) + 1)]
    found: dict[str, object] = {"first": round(gradient_of(setting, first, 0), 3)}
    found["seconds"] = [round(gradient_of(setting, text, n), 4) for n, text in enumerate(texts)]
    found["files"] = files()
    if int(calls):
        found |= with_other_constants(setting, int(calls))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
