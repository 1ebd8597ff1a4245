"""A loss to one Python file that needs torch and triton alone, to be shipped without glo-dsl."""

from __future__ import annotations

import ast
import hashlib
import keyword
from importlib import resources

from glo_codegen.text import Lines, comment
from glo_codegen.torch_ import PER_ROW, emit_per_row, emit_torch
from glo_codegen.triton import emit_triton
from glo_dsl.lang.loss import Loss
from glo_dsl.passes.pipeline import divisor_names, per_program, whole_program

IMPORTS = """from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any
from weakref import WeakValueDictionary

import torch
import triton
import triton.language as tl
from torch import Tensor
"""


CONTRACT = (
    "spec.py", "start.py", "totals.py", "repeated.py", "launched.py", "layout.py", "library.py", "module.py",
    "upstream.py", "autograd.py", "contract.py",
)  # fmt: skip
"""The files that make the calling contract, in the order in which they need each other."""


def standalone(loss: Loss, version: str) -> str:
    """The text of the module: kernels, the same in PyTorch for other devices, the calling contract, the loss.

    In it, `NAME` is the loss as a function and `NAME.module()` makes a `torch.nn.Module` of it. The kernels are those
    that `glo.compile` runs, the contract is the very file that it uses.

    Raises:
        GloError: the loss has a hole, or tells no number of classes.
    """
    program = whole_program(loss)
    parts = [
        _head(loss, version), IMPORTS,
        _section("The kernels", _without_imports(emit_triton(program))),
        _section("The same for devices without Triton", _without_imports(emit_torch(program))),
        _section("The calling contract", _contract()),
    ]  # fmt: skip
    if loss.per is not None:
        parts.insert(-1, _section("What a mean divides by", _without_imports(emit_per_row(per_program(loss)))))
    text = "\n".join(parts)
    return text + "\n" + _section("The loss", _binding(loss, text))


def _head(loss: Loss, version: str) -> str:
    inputs = ", ".join(v.name for v in loss.inputs)
    lines = [
        f"# {loss.name}: a training loss, compiled by glo-dsl {version}. Needs torch and triton, nothing else.",
        "#",
        f"#     from <this file> import {loss.name}",
        f"#     {loss.name}({inputs}).backward()",
        "#",
        "# Its source:",
        "#",
    ]
    return "\n".join([*lines, *comment(loss.whole_text, "#    ")]) + "\n"


def _section(title: str, text: str) -> str:
    return f"\n# {title} {'-' * (108 - len(title))}\n\n{text.strip()}\n"


def _contract() -> str:
    texts = ((resources.files("glo_dsl.runtime") / name).read_text(encoding="utf-8") for name in CONTRACT)
    return "\n\n".join(_without_imports(text).strip() for text in texts)


def _without_imports(text: str) -> str:
    """The text from its first statement that is neither docstring nor import."""
    for statement in ast.parse(text).body:
        docstring = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        if not docstring and not isinstance(statement, ast.Import | ast.ImportFrom):
            decorators = getattr(statement, "decorator_list", [])
            first = min([statement.lineno, *(d.lineno for d in decorators)])
            return "\n".join(text.splitlines()[first - 1 :]) + "\n"
    return ""


def _top_level(text: str) -> set[str]:
    """The names that the module already uses for itself."""
    names: set[str] = set()
    for statement in ast.parse(text).body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            names.add(statement.name)
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            names.update(t.id for t in targets if isinstance(t, ast.Name))
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            names.update(alias.asname or alias.name.partition(".")[0] for alias in statement.names)
    return names


def _binding(loss: Loss, text: str) -> str:
    lines, taken = Lines(), _top_level(text)
    with lines.block("SPEC = Spec(", ")"):
        lines.add(f"name={loss.name!r},")
        with lines.block("inputs=(", "),"):
            for v in loss.inputs:
                axes = f"rows={v.type.per_class}, shared={not v.type.per_sample}"
                lines.add(f"InputSpec({v.name!r}, {v.type.kind!r}, {axes}),")
        lines.add(f"params=({''.join(f'({p.name!r}, {_number(p.default)}), ' for p in loss.params).rstrip()}),")
        if loss.per is not None:
            lines.add(f"divisor={divisor_names(loss)!r},")
    lines.add("", "")
    with lines.block("def _kernel_for(device: torch.device) -> Kernel:"):
        lines.add('if device.type == "cuda":', "    return launched(SPEC, launch, INPLACE)")
        lines.add("return reducing(SPEC, torch.no_grad()(launch_torch), checks=True)")
    name = loss.name
    while name in taken or keyword.iskeyword(name):
        name += "_"
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    lines.add("", "")
    with lines.block("BACKING = Backing(", ")"):
        lines.add("choose=_kernel_for,", "again=lambda: reducing(SPEC, launch_torch),")
        lines.add(f'library=Library("glo_dsl::{loss.name}_{digest}"),', f"key={loss.name!r},")
        lines.add(*[f"per_row={PER_ROW},"] * (loss.per is not None), f"remake={name!r},")
    lines.add(f"{name} = CompiledLoss(SPEC, BACKING)", f"__all__ = [{name!r}]")
    return lines.text()


def _number(value: float) -> str:
    return repr(value) if abs(value) < float("inf") else f'float("{value}")'
