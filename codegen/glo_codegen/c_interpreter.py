"""Programs as data for a C interpreter, which is built once: a loss that trains for a second is not worth a compiler.

The interpreter holds LANES rows, classes across, and carries out a step for all of them before the next one, so that
deciding what to do costs little beside doing it. Its operators are those of the table, as C spells them; every value is
a real number there, a condition 0 or 1. It computes gradients alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from glo_codegen.c_preamble import ELEMENTARY
from glo_codegen.c_special import C_SPECIAL
from glo_codegen.program import (
    CONDITIONS,
    LOSS,
    POSITION,
    Instr,
    Load,
    Operand,
    Program,
    Rate,
    Reduce,
    Spelled,
    Step,
    Store,
)
from glo_codegen.text import Lines

SUM, MAX, MIN, LOAD_ROW, LOAD_AT, LOAD_SAMPLE, LOAD_CLASS, STORE_ROW, STORE_SAMPLE = range(9)
"""What is no operator, by its code; operators follow."""

FIRST = 9
"""The code of the first operator."""

ENTRY = "glo_interpret"
"""The function, `int glo_interpret(const glo_task *task)`; not 0 is a lack of memory."""

HEAD = r"""
enum { LANES = 32 };

// `code` [steps][5]: code, result, up to three registers or an input. Registers hold LANES values, `wide` ones
// as many for each class; the first of them are `fixed`, the next is the position of the class.
typedef struct {
    int64_t rows, classes, steps, registers, fixed;
    const int32_t *code;
    const uint8_t *wide;
    const double *values;
    const void *const *in;
    const int64_t *stride;  // of each input: from row to row, from class to class
    real *out;
} glo_task;

#define EACH(TEXT) \
    for (int c = 0; c < n; c++) { \
        const real *a = A + c * sa, *b = B + c * sb, *d = D + c * sd; \
        real *o = O + c * LANES; \
        for (int i = 0; i < LANES; i++) { \
            const real x = a[i], y = b[i], w = d[i]; \
            (void)x; (void)y; (void)w; \
            o[i] = TEXT; \
        } \
    } \
    break;
#define FOLD(START, TEXT) \
    for (int i = 0; i < LANES; i++) O[i] = START; \
    for (int c = 0; c < classes; c++) \
        for (int i = 0; i < LANES; i++) { const real x = O[i], y = A[c * sa + i]; O[i] = TEXT; } \
    break;
#define REGISTER(r) (file + (int64_t)(r) * width)
#define STRIDE(r) (task->wide[r] ? LANES : 0)

static void glo_steps(const glo_task *task, const int64_t *row, int filled, real *file, int64_t width) {
    const int classes = (int)task->classes;
    for (int64_t s = 0; s < task->steps; s++) {
        const int32_t *step = task->code + 5 * s;
        real *O = REGISTER(step[1]);
        const real *A = REGISTER(step[2]), *B = REGISTER(step[3]), *D = REGISTER(step[4]);
        const int sa = STRIDE(step[2]), sb = STRIDE(step[3]), sd = STRIDE(step[4]);
        const int n = task->wide[step[1]] ? classes : 1;
        const int64_t *stride = task->stride + 2 * step[2];
        switch (step[0]) {
"""

TAIL = r"""
        }
    }
}

int glo_interpret(const glo_task *task) {
    const int64_t width = LANES * (task->classes > 0 ? task->classes : 1);
    real *file = aligned_alloc(64, sizeof(real) * (size_t)(width * task->registers));
    if (file == NULL) return 1;
    for (int64_t r = 0; r < task->fixed; r++)
        for (int i = 0; i < LANES; i++) REGISTER(r)[i] = R(task->values[r]);
    for (int64_t c = 0; c < task->classes; c++)
        for (int i = 0; i < LANES; i++) REGISTER(task->fixed)[c * LANES + i] = R(c);
    for (int64_t first = 0; first < task->rows; first += LANES) {
        int64_t row[LANES];
        const int filled = task->rows - first < LANES ? (int)(task->rows - first) : LANES;
        for (int i = 0; i < LANES; i++) row[i] = first + (i < filled ? i : 0);
        glo_steps(task, row, filled, file, width);
    }
    free(file);
    return 0;
}
"""


@dataclass(frozen=True, slots=True)
class Code:
    """A Program for the interpreter.

    Attributes:
        steps: five numbers each, one after the other.
        wide: of each register, whether it holds a value for each class.
        fixed: what the first registers hold: literals, and names of parameters or `classes`.
    """

    steps: tuple[int, ...]
    wide: bytes
    fixed: tuple[Operand, ...]


def emit_interpreter(operators: Sequence[Spelled]) -> str:
    """The interpreter in C; the k-th operator has the code FIRST + k."""
    lines = Lines()
    real = "const real *in = task->in[step[2]]"
    for code, text in (
        (SUM, "FOLD(R(0), x + y)"),
        (MAX, f"FOLD(R(-INFINITY), {_spelled(operators, 'maximum')})"),
        (MIN, f"FOLD(R(INFINITY), {_spelled(operators, 'minimum')})"),
        (LOAD_ROW, f"{{ {real}; for (int c = 0; c < n; c++) for (int i = 0; i < LANES; i++) "
                   "O[c * LANES + i] = in[row[i] * stride[0] + c * stride[1]]; break; }"),
        (LOAD_AT, f"{{ {real}; for (int i = 0; i < LANES; i++) "
                  "O[i] = in[row[i] * stride[0] + (int64_t)B[i] * stride[1]]; break; }"),
        (LOAD_SAMPLE, f"{{ {real}; for (int i = 0; i < LANES; i++) O[i] = in[row[i] * stride[0]]; break; }}"),
        (LOAD_CLASS, "{ const int64_t *in = task->in[step[2]]; for (int i = 0; i < LANES; i++) "
                     "O[i] = R(in[row[i] * stride[0]]); break; }"),
        (STORE_ROW, "for (int i = 0; i < filled; i++) for (int c = 0; c < classes; c++) "
                    "task->out[row[i] * classes + c] = A[c * sa + i]; break;"),
        (STORE_SAMPLE, "for (int i = 0; i < filled; i++) task->out[row[i]] = A[i]; break;"),
    ):  # fmt: skip
        lines.add(f"        case {code}: {text}")
    for k, op in enumerate(operators):
        conditions = CONDITIONS.get(op.name, ())
        names = [f"({name} != 0)" if n in conditions else name for n, name in enumerate("xyw")]
        lines.add(f"        case {FIRST + k}: EACH({op.c.format(*names)})  // {op.name}")
    return ELEMENTARY.lstrip() + C_SPECIAL + HEAD + lines.text().rstrip("\n") + TAIL


def _spelled(operators: Iterable[Spelled], name: str) -> str:
    return next(op for op in operators if op.name == name).c.format("x", "y")


def encoded(program: Program, operators: Sequence[Spelled]) -> Code:
    """A Program with one gradient, of an input; what serves its value alone is left out.

    Raises:
        KeyError: an operator is not among these.
    """
    return _Encoder(program, operators).code()


class _Encoder:
    def __init__(self, program: Program, operators: Sequence[Spelled]) -> None:
        self.program = program
        self.codes = {op.name: FIRST + k for k, op in enumerate(operators)}
        self.inputs = {entry.name: n for n, entry in enumerate(program.inputs)}
        self.registers: dict[Operand, int] = {}
        self.wide: list[bool] = []

    def code(self) -> Code:
        steps = self._needed()
        fixed: dict[Operand, None] = {}
        defined = {s.out for s in steps if not isinstance(s, Store)}
        for step in steps:
            fixed |= dict.fromkeys(a for a in _arguments(step) if a not in defined and a != POSITION)
        for value in fixed:
            self._register(value, False)
        self._register(POSITION, True)
        numbers = [number for step in steps for number in self._encoded(step)]
        return Code(tuple(numbers), bytes(self.wide), tuple(fixed))

    def _register(self, value: Operand, wide: bool) -> int:
        self.registers[value] = len(self.wide)
        self.wide.append(wide)
        return self.registers[value]

    def _flat(self) -> Iterator[Step | Reduce | Store]:
        """All that a Program does, in its order."""
        yield from self.program.uniform
        for phase in self.program.phases:
            yield from phase.scalars
            yield from phase.row
            yield from phase.reductions
            yield from phase.stores
        yield from (Store(output, value) for output, value in self.program.results if output != LOSS)

    def _needed(self) -> list[Step | Reduce | Store]:
        wanted: set[Operand] = set()
        kept: list[Step | Reduce | Store] = []
        for step in reversed(list(self._flat())):
            if isinstance(step, Store) or step.out in wanted:
                kept.append(step)
                wanted |= set(_arguments(step))
        return kept[::-1]

    def _encoded(self, step: Step | Reduce | Store) -> list[int]:
        given = [self.registers[a] for a in _arguments(step)]
        if isinstance(step, Store):
            return [STORE_ROW if self._per_class(step) else STORE_SAMPLE, 0, *_three(given)]
        if isinstance(step, Reduce):
            return [{"sum": SUM, "max": MAX, "min": MIN}[step.op.name], self._register(step.out, False), *_three(given)]
        out = self._register(step.out, step.rate == Rate.CLASS)
        if isinstance(step, Instr):
            return [self.codes[step.op.name], out, *_three(given)]
        place = self.inputs[step.input]
        entry = self.program.inputs[place]
        if entry.kind == "class":
            return [LOAD_CLASS, out, place, 0, 0]
        if entry.rate != Rate.CLASS:
            return [LOAD_SAMPLE, out, place, 0, 0]
        return [LOAD_AT, out, place, given[0], 0] if step.at else [LOAD_ROW, out, place, 0, 0]

    def _per_class(self, store: Store) -> bool:
        return any(s is store for phase in self.program.phases for s in phase.stores)


def _arguments(step: Step | Reduce | Store) -> tuple[Operand, ...]:
    match step:
        case Instr():
            return step.args
        case Load():
            return (step.at,) if step.at else ()
        case Reduce():
            return (step.arg,)
    return (step.value,)


def _three(given: Sequence[int]) -> list[int]:
    """Registers of a step; where there are fewer, the first again, which is read and not used."""
    return [*given, *[given[0] if given else 0] * (3 - len(given))]
