"""What a check has found, as data and in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from glo_dsl.errors import Source, Span


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that is not as the file or the compiler says.

    Attributes:
        kind: value, gradient, finite-differences, reduction, ignored, nan, law or example.
        about: the loss, or the law by its full name.
        place: where it stands, such as `focal.glo:3`.
        message: what is wrong, in words.
        at: the simplest counterexample found, in `.glo`; "" if there is none to show.
        numbers: what was compared: whose number it is, and the number.
        reproduction: Python that shows these numbers; it is text, nobody runs it.
    """

    kind: str
    about: str
    place: str
    message: str
    at: str = ""
    numbers: tuple[tuple[str, str], ...] = ()
    reproduction: str = ""

    def lines(self) -> Iterator[str]:
        """For people, without the reproduction."""
        yield f"{self.place}: {self.about}: {self.message}"
        if self.at:
            yield f"  at {self.at}"
        width = max((len(whose) for whose, _ in self.numbers), default=0)
        for whose, number in self.numbers:
            yield f"  {whose:<{width}}  {number}"

    def __str__(self) -> str:
        """All of it; the reproduction can be copied as it stands."""
        again = ["", "To see it again:", "", self.reproduction] if self.reproduction else []
        return "\n".join([*self.lines(), *again])


@dataclass(frozen=True, slots=True)
class Report:
    """The result of the check of one loss.

    Attributes:
        loss, place: its name, and where it stands.
        targets: what was compared with the oracle, such as `c in float32`.
        rows, compared: rows drawn for that, and those of them in which the oracle knows every number.
        laws, examples: how many there are.
        failures: everything that is wrong.
        notes: what a reader should know though nothing is wrong: what was hardly checked, or not at all.
        skipped: why nothing was checked, or "".
        seconds: how long it took, without compiling.

    >>> import glo_dsl as glo
    >>> from glo_dsl.verify.check import check_loss
    >>> report = check_loss(glo.loads("loss l1(p: real, y: real) = abs(p - y)")["l1"], targets=["torch"], examples=5)
    >>> assert report.ok, report
    """

    loss: str
    place: str
    targets: tuple[str, ...] = ()
    rows: int = 0
    compared: int = 0
    laws: int = 0
    examples: int = 0
    failures: tuple[Failure, ...] = ()
    notes: tuple[str, ...] = ()
    skipped: str = ""
    seconds: float = field(default=0.0, compare=False)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.failures

    def failed(self, kind: str) -> int:
        """How many laws, examples and so on failed."""
        return sum(failure.kind == kind for failure in self.failures)

    def __str__(self) -> str:
        head = f"{self.loss}: " + (f"skipped, {self.skipped}" if self.skipped else "ok" if self.ok else "failed")
        return "\n\n".join([head, *map(str, self.failures), *(f"note: {note}" for note in self.notes)])


def place_of(source: Source, span: Span) -> str:
    """`file.glo:3`."""
    return f"{source.name}:{span.line}"
