"""How long does it take from text to checked losses, and to C? And does it grow with the text alone?

python benchmarks/front_end.py --out benchmarks/results/front_end.json
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from measuring import machine

from glo_codegen.c import emit_c
from glo_dsl.ir.expr import walk
from glo_dsl.lang.definitions import losses_of
from glo_dsl.lang.zoo_files import zoo_index, zoo_text
from glo_dsl.passes.lint import diagnose
from glo_dsl.passes.pipeline import whole_program

LOSSES = 60
SHAPES: dict[str, Callable[[int], str]] = {
    "sum of products": lambda n: " + ".join(f"x * {k}" for k in range(n)),
    "nested calls": lambda n: (
        "".join(f"let a{k} = tanh({f'a{k - 1}' if k else 'x'}) * {k} in " for k in range(n)) + f"a{n - 1}"
    ),
    "choices": lambda n: "".join(f"if x > {k} then x * {k} else " for k in range(n)) + "x",
}
"""Expressions of about 3 n to 5 n nodes."""


def library_text(count: int) -> str:
    """The text of the first `count` losses of the library with their laws and examples, as one file."""
    texts: list[str] = []
    names: set[str] = set()
    for file in dict.fromkeys(zoo_index().values()):
        text = zoo_text(file)
        defined = set(re.findall(r"^(?:loss|def) (\w+)", text, re.M))
        if not names & defined:  # files may use the same word for a function of their own
            names |= defined
            texts.append(text.replace("import std\n", ""))
    text = "import std\n\n" + "\n\n".join(texts)
    starts = [match.start() for match in re.finditer(r"^loss ", text, re.M)]
    return text[: text.rfind("\n\n", 0, starts[count])] + "\n"


def seconds(run: Callable[[], object], repeats: int = 5) -> float:
    """The median time of a run, after one that does not count."""
    run()
    found = []
    for _ in range(repeats):
        began = time.perf_counter()
        run()
        found.append(time.perf_counter() - began)
    return statistics.median(found)


def compiled(text: str) -> str:
    """The C text of the one loss of a text: checked, differentiated, simplified, scheduled, printed."""
    (loss,) = diagnose(text).losses.values()
    return emit_c(whole_program(loss))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="write the figures there")
    out = parser.parse_args().out
    text = library_text(LOSSES)
    module = diagnose(text)
    assert len(module.losses) == LOSSES, len(module.losses)
    claims = sum(len(loss.laws) + len(loss.examples) for loss in module.losses.values())
    checked = seconds(lambda: diagnose(text))
    print(f"{LOSSES} losses, {claims} laws and examples, {len(text)} characters: parsed and checked in {checked:.3f} s")
    rows = []
    for shape, make in SHAPES.items():
        for n in (250, 500, 1000, 2000):
            loss_text = f"loss f(x: real) = {make(n)}"
            nodes = sum(1 for _ in walk((losses_of(loss_text)["f"].expr,)))
            time_taken = seconds(lambda: compiled(loss_text), 3)  # noqa: B023
            rows.append({"shape": shape, "nodes": nodes, "characters": len(loss_text), "seconds": time_taken})
            each = 1e6 * time_taken / nodes
            print(f"{shape:>16} {nodes:6} nodes: text to C in {time_taken:6.3f} s, {each:6.1f} us a node")
    if out:
        figures = {"machine": machine(), "losses": LOSSES, "claims": claims, "check_seconds": checked, "growth": rows}
        out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
