"""The traps of `traps/` against glo-dsl and others: how many spring. See README.md in this folder."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

if {"triton", "liger"} & {*sys.argv} and not torch.cuda.is_available():  # before triton is imported
    os.environ.setdefault("TRITON_INTERPRET", "1")

from measuring import machine
from torch import Tensor
from traps.cases import Loss
from traps.losses import Subject
from traps.on_device import on_device
from traps.special import SPECIAL
from traps.suite import Trap, traps

import glo_dsl as glo


def _glo(target: str) -> Callable[[Subject], Loss]:
    return lambda subject: glo.compile(glo.zoo[subject.name], target)


def _where_triton_runs(make: Callable[[Subject], Loss | None]) -> Callable[[Subject], Loss | None]:
    """On the GPU if there is one, else in the interpreter."""

    def there(subject: Subject) -> Loss | None:
        loss = make(subject)
        return loss if loss is None or not torch.cuda.is_available() else on_device(loss, "cuda")

    return there


def _compiled(subject: Subject) -> Loss:
    """By Inductor; constants are plain numbers, as a user writes them."""
    function = torch.compile(subject)
    return lambda *inputs, **options: function(*inputs, **options)


def _liger(subject: Subject) -> Loss | None:
    """Liger's cross-entropy with the options that make it the loss, where they do."""
    from liger_kernel.transformers.functional import liger_cross_entropy

    fixed: dict[str, dict[str, float]] = {  # not with class weights: Triton's interpreter cannot run those
        "cross_entropy": {}, "smoothed_cross_entropy": {"label_smoothing": 0.1},
        "z_loss_cross_entropy": {"lse_square_scale": 1e-4},
    }  # fmt: skip
    renamed = {"weight": "lse_square_scale"}
    if subject.name not in fixed:
        return None

    def loss(z: Tensor, t: Tensor, *weight: Tensor, dim: int = 1, **options: Any) -> Tensor:
        if z.dim() != 2 or dim not in (1, -1):
            raise ValueError("takes (N, C) alone")
        given = {**fixed[subject.name], **{renamed.get(name, name): value for name, value in options.items()}}
        found: Tensor = liger_cross_entropy(z, t, *weight, **given)
        return found

    return loss


CONTENDERS: dict[str, Callable[[Subject], Loss | None]] = {
    "c": _glo("c"), "torch": _glo("torch"), "triton": _where_triton_runs(_glo("triton")),
    "eager": lambda subject: subject, "compile": _compiled, "liger": _where_triton_runs(_liger),
}  # fmt: skip


SINGLE = ("triton",)
"""Who computes in float32 at best, and says so."""


def kind_of(trap: Trap) -> str:
    """Its name without the loss, or for comparisons of numbers the dtype."""
    story = trap.name.partition(": ")[2]
    return story if story in SPECIAL else f"numbers in {story.split()[0]}"


def run(contender: str, losses: list[str], only_special: bool) -> dict[str, Any]:
    """How many traps there were, how many sprang, of which kinds, and what the first of each kind said."""
    made: dict[str, Loss | None] = {}
    laid, sprung, said = Counter[str](), Counter[str](), dict[str, str]()
    start = time.perf_counter()
    for trap in traps():
        subject, kind = trap.subject, kind_of(trap)
        if contender in SINGLE and kind == "numbers in float64":
            continue
        if (losses and subject.name not in losses) or (only_special and kind not in SPECIAL):
            continue
        if subject.name not in made:
            made[subject.name] = CONTENDERS[contender](subject)
        loss = made[subject.name]
        if loss is None:
            continue
        laid[kind] += 1
        try:
            problem = trap.spring(loss)
        except Exception as error:
            problem = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"
        if problem:
            sprung[kind] += 1
            said.setdefault(kind, f"{trap.name}: {problem}")
    return {
        "contender": contender, "traps": sum(laid.values()), "sprung": sum(sprung.values()),
        "losses": [name for name, loss in made.items() if loss is not None],
        "by kind": {kind: [sprung[kind], laid[kind]] for kind in laid}, "first": said,
        "seconds": round(time.perf_counter() - start, 1),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("contenders", nargs="+", choices=list(CONTENDERS))
    parser.add_argument("--loss", action="append", default=[], help="only this loss; may be repeated")
    parser.add_argument("--special", action="store_true", help="leave out the comparisons of numbers")
    parser.add_argument("--out", type=Path, help="add the results to this JSON file")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    for contender in options.contenders:
        result = run(contender, options.loss, options.special)
        print(f"\n{contender}: {result['sprung']} of {result['traps']} traps sprang, in {result['seconds']} s")
        for kind, (sprung, laid) in result["by kind"].items():
            if sprung:
                print(f"  {kind:22}{sprung:4} of {laid:<4}{result['first'][kind]}"[:160])
        if options.out:
            kept = json.loads(options.out.read_text()) if options.out.exists() else {"machine": machine(), "runs": {}}
            kept["runs"][contender] = result
            options.out.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
