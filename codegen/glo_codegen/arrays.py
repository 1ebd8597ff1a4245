"""Program to a function of whole arrays that a library differentiates by itself: PyTorch, JAX, or NumPy without.

The text is meant to be read and changed: it has the names of the loss, and no gradient.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from glo_codegen.dialects import Dialect
from glo_codegen.program import CLASSES, POSITION, Load, Operand, Program, Rate, Reduce, Step, parameter
from glo_codegen.python_names import camel, number, python_names
from glo_codegen.terms import WIDTH, args_of, bare, code, fill, result_of, uses
from glo_codegen.text import Lines

TAKEN = (
    "C", "IGNORED", "camel", "classes", "dtype", "each", "ignore_index", "jax", "jnp", "kept", "learnable", "literal",
    "loss", "np", "position", "reduction", "self", "special", "torch",
)  # fmt: skip
"""Names that the text has for itself."""


@dataclass(frozen=True, slots=True)
class Function:
    """What becomes of a loss.

    Attributes:
        program: its value, without gradients.
        defaults: of the parameters, in the order of the program's.
        fillers: for each real input a number that it may have, for rows that are ignored.
        divisor: what a row adds to the divisor of the mean, likewise a program; None: 1.
    """

    program: Program
    defaults: Mapping[str, float]
    fillers: Mapping[str, float]
    divisor: Program | None = None


@dataclass(frozen=True, slots=True)
class Naming:
    """What things are called in the text: inputs and parameters by their own names, functions and the module class."""

    names: Mapping[str, str]
    loss: str
    each: str
    divisor: str
    module: str

    @staticmethod
    def of(program: Program) -> Naming:
        """The names for a loss; the function is called as the loss is if Python allows it."""
        found = python_names([program.name], TAKEN)[program.name]
        each, divisor, module = f"{found}_per_sample", f"{found}_divisor", f"{camel(found)}Loss"
        taken = {*TAKEN, found, each, divisor, module}
        return Naming(python_names([*(i.name for i in program.inputs), *program.params], taken), found, each, divisor,
                      module)  # fmt: skip


def emit_function(function: Function, dialect: Dialect) -> str:
    """The functions `NAME_per_sample` and `NAME`, in PyTorch also the module `NameLoss`; with the imports they need."""
    naming = Naming.of(function.program)
    parts = [_each(function.program, function, dialect, naming, naming.each, "The loss of each sample")]
    if function.divisor is not None:
        what = "What each sample adds to the divisor of the mean"
        parts.append(_each(function.divisor, function, dialect, naming, naming.divisor, what))
    parts.append(_reduced(function, dialect, naming))
    if dialect.module:
        parts.append(_module(function, naming))
    body = "\n\n".join(parts)
    imports = [line for word, line in dialect.imports if f"{word}." in body]
    return "\n".join(imports) + "\n\n\n" + body


def _signature(function: Function, naming: Naming, *more: str) -> str:
    inputs = [naming.names[i.name] for i in function.program.inputs]
    named = [f"{naming.names[k]}={_default(v)}" for k, v in function.defaults.items()]
    named += more
    return ", ".join([*inputs, *(["*"] if named else []), *named])


def _default(value: float) -> str:
    return bare(number(value))


def _arguments(function: Function, naming: Naming) -> str:
    inputs = [naming.names[i.name] for i in function.program.inputs]
    return ", ".join([*inputs, *(f"{naming.names[k]}={naming.names[k]}" for k in function.defaults)])


def _shapes(program: Program, naming: Naming) -> Iterator[str]:
    """A line for each input: its shape and what it holds."""
    kinds = {"real": "numbers", "bool": "truth values", "class": "class indices"}
    for i in program.inputs:
        axes = ["..."] * i.per_sample + ["C"] * (i.rate == Rate.CLASS)
        yield f"{naming.names[i.name]}: [{', '.join(axes)}], {kinds[i.kind]}"


def _each(
    program: Program, function: Function, dialect: Dialect, naming: Naming, name: str, what: str
) -> str:  # fmt: skip
    lines = Lines()
    with lines.block(f"def {name}({_signature(function, naming)}):"):
        lines.add(f'"""{what}, [...].', "", *(f"{line}" for line in _shapes(function.program, naming)), '"""')
        lines.add(*_Body(program, function, dialect, naming).lines())
    return lines.text()


class _Body:
    """The lines of a function of whole arrays; `texts` is what each value is written as where it is used."""

    def __init__(self, program: Program, function: Function, dialect: Dialect, naming: Naming) -> None:
        self.program, self.inputs, self.params = program, function.program.inputs, tuple(function.defaults)
        self.dialect, self.naming = dialect, naming
        self.by_rows = function.program.by_rows
        self.rates: dict[Operand, Rate] = {}
        self.texts: dict[Operand, str] = {CLASSES: CLASSES, POSITION: POSITION}
        self.texts |= {parameter(name): naming.names[name] for name in program.params}
        self.uses = uses(program, dialect.spelling)
        self.named = 0

    def lines(self) -> Iterator[str]:
        computed = list(self._steps())
        returned = self._returned()
        yield from self._prologue(" ".join([*computed, returned]))
        yield from computed
        yield f"return {bare(returned)}"

    def _returned(self) -> str:
        value = result_of(self.program)
        varies = self.rates.get(value, Rate.UNIFORM) == Rate.SAMPLE
        text = self._operand(value)
        if isinstance(value, float) and self.dialect.literal:
            text = f"literal({text})"
        if not varies:
            text = self.dialect.spread.format(text, self._rows(), **self.dialect.words)
        elif self.by_rows:
            text = f"{text}[..., 0]" if text.isidentifier() or text.endswith(")") else f"({text})[..., 0]"
        return text

    def _prologue(self, used: str) -> Iterator[str]:
        reals = [self.naming.names[i.name] for i in self.inputs if i.kind == "real"]
        yield from self.dialect.dtype(reals)
        rows = [i for i in self.inputs if i.rate == Rate.CLASS and i.per_sample]
        for i in [*rows, *(i for i in self.inputs if i not in rows)]:
            name = self.naming.names[i.name]
            text = self.dialect.read[i.kind].format(name, **self.dialect.words)
            if i.rate == Rate.CLASS and not i.per_sample:
                text = self.dialect.shared.format(text, self.naming.names[rows[0].name], **self.dialect.words)
            elif self.by_rows and i.rate != Rate.CLASS:
                text += "[..., None]"
            yield f"{name} = {text}"
        first = self.naming.names[(rows or list(self.inputs))[0].name]
        words = {**self.dialect.words, "first": first}
        if re.search(rf"\bliteral\b|\b{CLASSES}\b", used):
            yield from (line.format(**words) for line in self.dialect.literal)
        for name in self.params:
            if self.dialect.number:
                yield f"{self.naming.names[name]} = {self.dialect.number.format(self.naming.names[name], **words)}"
        yield from (line.format(**words) for word, line in self.dialect.counts if re.search(rf"\b{word}\b", used))

    def _rows(self) -> str:
        """The shape of the batch."""
        i = next((i for i in self.inputs if i.per_sample), self.inputs[0])
        cut = "[:-1]" * self.by_rows  # what is per sample has an axis of length 1 there
        return f"{self.naming.names[i.name]}.shape{cut}"

    def _steps(self) -> Iterator[str]:
        for step in code(self.program):
            self.rates[step.out] = Rate.SAMPLE if isinstance(step, Reduce) else step.rate
            text = self._text(step)
            once = self.uses.get(step.out, 0) <= 1 and not isinstance(step, Reduce)
            plain = isinstance(step, Load) and step.at is None
            if plain or (once and len(text) <= WIDTH):
                self.texts[step.out] = text
            else:
                self.texts[step.out] = name = f"v{self.named}"
                self.named += 1
                yield f"{name} = {bare(text)}"

    def _text(self, step: Step | Reduce) -> str:
        if isinstance(step, Load):
            name = self.naming.names[step.input]
            return name if step.at is None else fill(self.dialect.take, [name, self._operand(step.at)], {})
        args = args_of(step)
        tensors = self.dialect.literal and not _plain(self.dialect.spelling(step.op), args)
        texts = [f"literal({number(a)})" if tensors and isinstance(a, float) else self._operand(a) for a in args]
        return fill(self.dialect.spelling(step.op), texts, self.dialect.words)

    def _operand(self, operand: Operand) -> str:
        return number(operand) if isinstance(operand, float) else self.texts[operand]


def _plain(spelling: str, args: tuple[Operand, ...]) -> bool:
    """Whether a spelling takes numbers as they are: signs do, beside a tensor."""
    return "torch." not in spelling and not all(isinstance(a, float) for a in args)


def _reduced(function: Function, dialect: Dialect, naming: Naming) -> str:
    """The loss of a batch: rows that are ignored left out, the others summed or averaged."""
    program = function.program
    places = [naming.names[i.name] for i in program.inputs if i.kind == "class"]
    more = ['reduction="mean"', *(["ignore_index=-100"] if places else [])]
    lines, words = Lines(), dialect.words
    with lines.block(f"def {naming.loss}({_signature(function, naming, *more)}):"):
        lines.add('"""The loss of a batch: its "mean" or "sum", or with "none" one number per sample.', "")
        lines.add(*_shapes(program, naming))
        if places:
            lines.add("Samples whose class index is `ignore_index` are left out.")
        lines.add('"""')
        if places:
            lines.add("kept = " + bare(" & ".join(f"({name} != ignore_index)" for name in places)))
            lines.add(*_filled(function, naming, dialect))
        row = next((naming.names[i.name] for i in program.inputs if i.rate == Rate.CLASS and i.per_sample), "")
        lines.add(*(line.format(name, row) for name in places for line in dialect.refuse))
        value = f"{naming.each}({_arguments(function, naming)})"
        lines.add(f"loss = {_masked(value, dialect) if places else value}")
        lines.add(*(line.format(name, row) for name in places for line in dialect.poison))
        lines.add('if reduction == "none":', "    return loss", 'if reduction == "sum":')
        lines.add(f"    return {words['np']}.sum(loss)", 'if reduction == "mean":')
        lines.add(f"    return {_mean(function, naming, dialect, bool(places))}")
        lines.add('raise ValueError(f\'reduction must be "mean", "sum" or "none", got {reduction!r}\')')
    return lines.text()


def _masked(text: str, dialect: Dialect) -> str:
    return f"{dialect.words['np']}.where(kept, {text}, 0.0)"


def _filled(function: Function, naming: Naming, dialect: Dialect) -> Iterator[str]:
    """A row that is ignored may hold anything: it is replaced, so that it has no gradient whatever it holds."""
    where = f"{dialect.words['np']}.where"
    for i in function.program.inputs:
        name = naming.names[i.name]
        if i.kind == "class":
            yield f"{name} = {where}(kept, {name}, 0)"
        elif i.kind == "real" and i.per_sample:
            kept = "kept[..., None]" if i.rate == Rate.CLASS else "kept"
            yield f"{name} = {where}({kept}, {name}, {_default(function.fillers[i.name])})"


def _mean(function: Function, naming: Naming, dialect: Dialect, ignores: bool) -> str:
    np = dialect.words["np"]
    if function.divisor is not None:
        divisor = f"{naming.divisor}({_arguments(function, naming)})"
        return f"{np}.sum(loss) / {np}.sum({_masked(divisor, dialect) if ignores else divisor})"
    return f"{np}.sum(loss) / {np}.sum(kept)" if ignores else f"{np}.mean(loss)"


def _module(function: Function, naming: Naming) -> str:
    """The loss as an `nn.Module`; what is called `param_...` cannot be an attribute that modules have."""
    lines, params = Lines(), list(function.defaults)
    options = ["reduction"] + ["ignore_index"] * any(i.kind == "class" for i in function.program.inputs)
    named = [f"{naming.names[k]}={_default(v)}" for k, v in function.defaults.items()]
    head = [
        *named,
        *(["learnable=()"] if params else []),
        'reduction="mean"',
        *["ignore_index=-100"] * (len(options) - 1),
    ]
    inputs = ", ".join(naming.names[i.name] for i in function.program.inputs)
    with lines.block(f"class {naming.module}(torch.nn.Module):"):
        train = " Parameters named in `learnable` are trained along." if params else ""
        lines.add(f'"""The loss as a module.{train}"""', "")
        with lines.block(f"def __init__(self, *, {', '.join(head)}):"):
            lines.add("super().__init__()")
            lines.add(f"self.options = {{{', '.join(f'{o!r}: {o}' for o in options)}}}")
            for name in map(naming.names.__getitem__, params):
                lines.add(f"self.param_{name} = {name}")
            if params:
                with lines.block("for each in learnable:"):
                    lines.add('value = torch.tensor(float(getattr(self, f"param_{each}")))')
                    lines.add('setattr(self, f"param_{each}", torch.nn.Parameter(value))')
        lines.add("")
        with lines.block(f"def forward(self, {inputs}):"):
            given = "".join(f"{n}=self.param_{n}, " for n in map(naming.names.__getitem__, params))
            lines.add(f"return {naming.loss}({inputs}, {given}**self.options)")
    return lines.text()
