"""Where a search may begin: losses that are known, written as what stands in the hole of a space."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

from glo_dsl.errors import GloError
from glo_dsl.evolve.filling import filling
from glo_dsl.evolve.funnel import Funnel
from glo_dsl.evolve.space import Space
from glo_dsl.evolve.strategies.taylor import polynomial, terms
from glo_dsl.evolve.variation import Vocabulary
from glo_dsl.ir.expr import Expr, size
from glo_dsl.lang.loss import Loss
from glo_dsl.lang.show import show
from glo_dsl.passes.zoo import Zoo

Kind = Literal["none", "zoo", "taylor", "both"]

ORDERS = (2, 3, 4)
CENTRES = ((0.0, 0.5), (0.0, 1.0), (0.5, 0.5))
"""Of label and prediction. Cross-entropy is linear in the label: with its centre at 0, little remains of the series."""


@dataclass(frozen=True)
class Start:
    """An expression for the hole, and where it is from, such as "zoo: focal"."""

    origin: str
    genotype: Expr


def starts(kind: Kind, space: Space, classes: int, largest: int) -> list[Start]:
    """What of the library and of the series of cross-entropy can stand in the hole, within `largest` nodes, small ones
    first; of several that train alike the first.

    Raises:
        ValueError: there is no such kind.
    """
    no_starts(kind)
    funnel = Funnel(classes)
    found = []
    for origin, loss in _known(kind, classes):
        genotype = filling(space, loss, funnel)
        if genotype is not None and size(genotype) <= largest:
            found.append(Start(origin, genotype))
    found.sort(key=lambda start: size(start.genotype))
    return [start for start in found if funnel.judge(space.fill(start.genotype)).reason is None]


def no_starts(kind: Kind, *_: object) -> list[Start]:
    """None, to see if a strategy can be made.

    Raises:
        ValueError: there is no such kind.
    """
    if kind not in get_args(Kind):
        raise ValueError(f"start is one of {', '.join(get_args(Kind))}, got {kind!r}")
    return []


class Book(Protocol):
    """Of a `Ledger`, what is needed here."""

    def stored(self, kind: str) -> Any: ...
    def record(self, kind: str, payload: dict[str, Any]) -> None: ...


def starts_on_record(book: Book, kind: Kind, space: Space, classes: int) -> list[Start]:
    """The starts of a search, written down as its first event: to look for them takes seconds, and the library of
    another version may have others.

    Raises:
        ValueError: there is no such kind.
        GloError: what is written there makes no sense.
    """
    if kind == "none":
        return []
    written = book.stored("start")
    if written is None:
        found = starts(kind, space, classes, Vocabulary.largest)
    else:
        try:
            found = [Start(str(origin), space.read(str(text))) for origin, text in written["losses"]]
        except (LookupError, TypeError, ValueError) as error:
            message = f"the study says that it begins with {written!r:.60}"
            raise GloError(message, hint="restore a copy of it") from error
    book.record("start", {"losses": [[start.origin, show(start.genotype)] for start in found]})
    return found


def _known(kind: Kind, classes: int) -> Iterator[tuple[str, Loss]]:
    if kind in ("zoo", "both"):
        for name, loss in Zoo().items():
            yield f"zoo: {name}", loss
    if kind in ("taylor", "both") and classes:
        for order in ORDERS:
            for centres in CENTRES:
                theta = cross_entropy_series(order, *centres)
                yield f"taylor: order {order} around {centres[1]:g}", polynomial(order, theta)


def cross_entropy_series(order: int, label: float, prediction: float) -> list[float]:
    """The constants of `taylor.polynomial` that make it the Taylor polynomial of cross-entropy, x log(y), around a
    centre.

    >>> cross_entropy_series(2, 0.5, 0.5)
    [0.5, 0.5, 1.0, -1.0, 2.0]
    """
    of_log = [math.nan, *((-1) ** (n + 1) / (n * prediction**n) for n in range(1, order + 1))]
    of_label = (label, 1.0)
    coefficients = [of_label[x] * of_log[y] + 0.0 if x < 2 else 0.0 for x, y in terms(order)]  # no -0.0
    return [label, prediction, *coefficients]
