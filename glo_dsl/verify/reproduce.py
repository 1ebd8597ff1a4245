"""Failures as Python that shows them again, without the search that found them. The text is for people: nobody runs it.

Whatever comes from a file stands in it as a string literal.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import torch

from glo_dsl.errors import Source
from glo_dsl.ir.expr import Var
from glo_dsl.lang.loss import Example, Law, Loss
from glo_dsl.verify.batch import Batch, Sample
from glo_dsl.verify.kernels import Kernel


def of_kernel(kernel: Kernel, name: str, batch: Batch) -> str:
    """Value, if the name is "", or gradient of a kernel beside that of autograd."""
    loss = kernel.loss
    wrt = [name] if name else []
    lines = [
        "import torch", "import glo_dsl as glo", "from glo_dsl.verify.oracle import oracle", "",
        *_loading(loss), *_inputs(loss, batch, kernel.dtype), f"params = {_parameters(loss, batch)}",
        f"value, slopes = glo.compile(loss, {kernel.target!r}).value_and_grad("
        f"*inputs, wrt={wrt!r}, reduction='none', **params)",
        f"truth, expected = oracle(loss, inputs, params, {wrt!r})",
        f"print('{kernel}:', {f'slopes[{name!r}]' if name else 'value'}.tolist())",
        f"print('autograd:', {f'expected[{name!r}]' if name else 'truth'}.tolist())",
    ]  # fmt: skip
    first = ["import os", "os.environ['TRITON_INTERPRET'] = '1'"] if kernel.target == "triton" else []
    return _text([*first, *lines])


def of_law(law: Law, loss: Loss, sample: Sample) -> str:
    """Both sides of every comparison in a law."""
    values = _python({v.name: sample.values[v.name] for v in sample.variables})
    return _text([
        "import glo_dsl as glo", "from glo_dsl.verify.laws import comparisons", "",
        *_loading(loss), f"(law,) = [law for law in loss.laws if law.name == {law.name!r}]",
        f"for found in comparisons(law, {values}, classes={sample.classes}):",
        "    print(found.left, found.sign, found.right)",
    ])  # fmt: skip


def of_example(example: Example, loss: Loss, batch: Batch, target: str) -> str:
    """The value of an example beside the one that is expected."""
    return _text([
        "import torch", "import glo_dsl as glo", "",
        *_loading(loss), *_inputs(loss, batch, torch.float64), f"params = {_parameters(loss, batch)}",
        f"value = glo.compile(loss, {target!r})(*inputs, reduction='sum', **params)",
        "print('got:', value.item())", f"print('expected:', {example.expected!r})",
    ])  # fmt: skip


def of_call(loss: Loss, batch: Batch, target: str, dtype: torch.dtype, lines: list[str]) -> str:
    """Calls of the compiled loss `fn` on `inputs` and `params`."""
    return _text([
        "import torch", "import glo_dsl as glo", "", *_loading(loss), *_inputs(loss, batch, dtype),
        f"params = {_parameters(loss, batch)}", f"fn = glo.compile(loss, {target!r})", *lines,
    ])  # fmt: skip


def _text(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"


def _loading(loss: Loss) -> Iterator[str]:
    yield from _source(loss.source, loss.name)


def _source(source: Source, name: str) -> Iterator[str]:
    """From its file; a text that is none stands in the reproduction."""
    if Path(source.name).is_file():
        yield f"loss = glo.load({source.name!r})[{name!r}]"
        return
    yield "text = ("
    yield from (f"    {line!r}" for line in source.text.splitlines(keepends=True))
    yield ")"
    yield f"loss = glo.loads(text)[{name!r}]"


def _inputs(loss: Loss, batch: Batch, dtype: torch.dtype) -> Iterator[str]:
    yield "inputs = ["
    for v in loss.inputs:
        kind = f", dtype={dtype}" if v.type.kind == "real" else ""
        yield f"    torch.tensor({_numbers(v, batch)}{kind}),  # {v.name}"
    yield "]"


def _numbers(v: Var, batch: Batch) -> str:
    column = batch.columns[v.name]
    return _python((column if v.type.per_sample else column[0]).tolist())


def _parameters(loss: Loss, batch: Batch) -> str:
    named = (f"{p.name!r}: {_python(float(batch.columns[p.name][0]))}" for p in loss.params)
    return f"{{{', '.join(named)}}}"


def _python(numbers: object) -> str:
    """Numbers as Python writes them, those too that it has no literals for."""
    return re.sub(r"\b(nan|inf)\b", r"float('\1')", repr(numbers))
