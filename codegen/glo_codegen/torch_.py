"""Program to eager PyTorch: any device, any floating dtype, differentiable by autograd; the oracle of the others."""

from __future__ import annotations

import math

from glo_codegen.program import CLASSES, LOSS, POSITION, Load, Operand, Program, Rate, Reduce, Step, parameter
from glo_codegen.text import Lines

LAUNCH = "launch_torch"
"""Name of the emitted function."""

PER_ROW = "per_row"
"""Name of the emitted function that says what each row adds to the divisor of a mean."""

DOC = '''"""Loss per row and gradients of the batch.

    inputs: tensors in the order of the loss: [rows, classes] per class, [rows] per sample, [classes] shared; instead
        of rows there may be several axes.
    params: [K] tensor of all parameters; scale: one number that multiplies every gradient.
    weight: [rows], what multiplies the loss and the gradients of each row; 0 leaves it out.
    inplace: nothing, for PyTorch's operations leave their inputs alone.
    Returns the loss [rows] and a dict of gradients shaped like the inputs, [rows] for parameters, not yet rounded.
    """'''


def emit_torch(program: Program) -> str:
    """A module with one function `launch_torch(inputs, params, wrt, scale, ignore_index, weight=None)`.

    It needs `import torch` alone. Rows whose class index is `ignore_index` give zeros; any other index outside
    [0, classes) gives NaN, for nothing here waits for the device or asks for a number.
    """
    lines = Lines()
    lines.add("import torch", "", "")
    with lines.block(f"def {LAUNCH}(inputs, params, wrt, scale, ignore_index, weight=None, inplace=()):"):
        lines.add(DOC)
        _prologue(program, lines)
        _weighed(lines)
        _body(program, lines)
        _epilogue(program, lines)
    return lines.text()


def emit_per_row(program: Program) -> str:
    """A module with one function `per_row(inputs, params, ignore_index)`: what each row adds to a mean's divisor.

    `program` has that as its loss and no gradients; autograd differentiates it. Rows whose class index is
    `ignore_index` give 0; any other index outside [0, classes) gives NaN, without waiting for the device.
    """
    lines = Lines()
    lines.add("import torch", "", "")
    with lines.block(f"def {PER_ROW}(inputs, params, ignore_index):"):
        _prologue(program, lines)
        _body(program, lines)
        loss = next(value for output, value in program.results if output == LOSS)
        lines.add(f"return {_masked(_operand(loss))}.expand(*rows, 1)[..., 0]")
    return lines.text()


def _prologue(program: Program, lines: Lines) -> None:
    if program.inputs:
        lines.add(f"{', '.join(f'in{n}' for n in range(len(program.inputs)))}, = inputs")
    reals = [f"in{n}" for n, i in enumerate(program.inputs) if i.kind == "real"]
    lines.add(f"dtype = torch.promote_types(torch.float32, {_promoted(reals)})")
    lines.add("device = in0.device", f"rows = {_rows(program)}  # a shape")
    lines.add(*_literals())
    if program.by_rows:
        per_class = next((n for n, i in enumerate(program.inputs) if i.rate == Rate.CLASS), 0)
        lines.add(f"C = in{per_class}.shape[-1]", f"{CLASSES} = literal(C)")
        lines.add(f"{POSITION} = torch.arange(C, device=device)")
    for k, name in enumerate(program.params):
        lines.add(f"{parameter(name)} = params[{k}].to(dtype)")
    _valid(program, lines)


def _promoted(reals: list[str]) -> str:
    """The widest dtype; many inputs are halved, for Python reads no more than 200 nested brackets."""
    if len(reals) < 2:
        return f"{reals[0]}.dtype" if reals else "torch.float32"
    cut = len(reals) - 1 if len(reals) <= 16 else len(reals) // 2
    return f"torch.promote_types({_promoted(reals[:cut])}, {_promoted(reals[cut:])})"


def _literals() -> tuple[str, ...]:
    return ("", "def literal(value):", "    return torch.full((), value, dtype=dtype, device=device)", "")


def _rows(program: Program) -> str:
    found = next(((n, i) for n, i in enumerate(program.inputs) if i.per_sample), None)
    if found is None:
        return "(1,)"
    return f"in{found[0]}.shape" + "[:-1]" * (found[1].rate == Rate.CLASS)


def _valid(program: Program, lines: Lines) -> None:
    """Class indices made safe to use; which rows have usable ones, and what the others give instead."""
    places = _class_places(program)
    if not places:
        lines.add("usable, filler = torch.ones((), dtype=torch.bool, device=device), 0.0")
        return
    lines.add("valid = " + " & ".join(f"(in{n} != ignore_index)" for n in places))
    lines.add("usable = valid & " + " & ".join(f"(in{n} >= 0) & (in{n} < C)" for n in places))
    lines.add(*(f"in{n} = torch.where(usable, in{n}, 0).to(torch.int64)" for n in places))
    lines.add("usable, filler = usable[..., None], torch.where(valid, torch.nan, 0.0).to(dtype)[..., None]")


def _weighed(lines: Lines) -> None:
    """A row without weight is left out, whatever it holds."""
    lines.add("if weight is None:", "    weight = 1.0")
    with lines.block("else:"):
        lines.add("weight = weight.to(dtype)[..., None]")
        lines.add("usable, filler = usable & (weight != 0), torch.where(weight == 0, 0.0, filler)")


def _class_places(program: Program) -> list[int]:
    return [n for n, i in enumerate(program.inputs) if i.kind == "class"]


def _body(program: Program, lines: Lines) -> None:
    lines.add(*(_step(program, step) for step in program.uniform))
    for phase in program.phases:
        for step in (*phase.scalars, *phase.row):
            lines.add(_step(program, step))
        for reduction in phase.reductions:
            lines.add(_reduce(reduction))


def _step(program: Program, step: Step) -> str:
    if isinstance(step, Load):
        return f"{step.out} = {_load(program, step)}"
    return f"{step.out} = {step.op.torch.format(*(_operand(a) for a in step.args))}"


def _load(program: Program, load: Load) -> str:
    n = next(n for n, i in enumerate(program.inputs) if i.name == load.input)
    entry = program.inputs[n]
    convert = {"real": ".to(dtype)", "bool": ".to(torch.bool)", "class": ""}[entry.kind]
    if entry.rate != Rate.CLASS:
        return f"in{n}[..., None]{convert}"
    row = f"in{n}" if entry.per_sample else f"in{n}.expand(*rows, C)"
    return f"{row}{convert}" + (f".gather(-1, {load.at})" if load.at else "")


def _operand(operand: Operand) -> str:
    if isinstance(operand, str):
        return operand
    if math.isnan(operand) or math.isinf(operand):
        return f'literal(float("{operand}"))'
    return f"literal({operand!r})"


def _reduce(reduction: Reduce) -> str:
    return f"{reduction.out} = {reduction.op.torch.format(_operand(reduction.arg))}"


def _epilogue(program: Program, lines: Lines) -> None:
    stores = {s.output: s.value for phase in program.phases for s in phase.stores}
    loss = next(value for output, value in program.results if output == LOSS)
    lines.add(f"loss = {_masked(f'{_operand(loss)} * weight')}.expand(*rows, 1)[..., 0]", "gradients = {}")
    if program.gradients:
        lines.add("scale = scale * weight")
    for name in program.gradients:
        output = f"grad_{name}"
        operand = stores.get(output, dict(program.results).get(output))
        assert operand is not None
        value = _masked(f"{_operand(operand)} * scale")
        shaped = f"{value}.expand(*rows, C).contiguous()" if output in stores else f"{value}.expand(*rows, 1)[..., 0]"
        lines.add(f"if {name!r} in wrt:", f"    gradients[{name!r}] = {shaped}")
    lines.add("return loss, gradients")


def _masked(text: str) -> str:
    return f"torch.where(usable, {text}, filler)"
