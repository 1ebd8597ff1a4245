"""Strategies by the names that commands know them by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, TypeVar

from glo_dsl.errors import GloError, did_you_mean
from glo_dsl.evolve.config import SETTINGS
from glo_dsl.evolve.space import Space, space_of
from glo_dsl.evolve.strategies.glo import Glo
from glo_dsl.evolve.strategies.glo import Settings as GloSettings
from glo_dsl.evolve.strategies.islands import Islands
from glo_dsl.evolve.strategies.islands import Settings as IslandSettings
from glo_dsl.evolve.strategies.nsga2 import Nsga2
from glo_dsl.evolve.strategies.nsga2 import Settings as NsgaSettings
from glo_dsl.evolve.strategies.starts import Kind, Start, no_starts
from glo_dsl.evolve.strategies.taylor import Settings as TaylorSettings
from glo_dsl.evolve.strategies.taylor import Taylor
from glo_dsl.evolve.strategies.tuners import Tuning, tuner_of
from glo_dsl.evolve.work import Strategy
from glo_dsl.lang.loss import Loss

Options = Mapping[str, Any]
T = TypeVar("T")
Starts = Callable[[Kind, Space, int], list[Start]]
"""Known losses that a strategy asks about first: of a kind, for a space and a number of classes."""


def _islands(options: Options, loss: Loss, seed: int, classes: int, starts: Starts) -> Strategy:
    space, settings = space_of(loss), settings_of(IslandSettings, options)
    return Islands(space, settings, seed, classes, starts(settings.start, space, classes))


def _nsga2(options: Options, loss: Loss, seed: int, classes: int, starts: Starts) -> Strategy:
    space, settings = space_of(loss), settings_of(NsgaSettings, options)
    return Nsga2(space, settings, seed, classes, starts(settings.start, space, classes))


def _glo(options: Options, loss: Loss, seed: int, classes: int, starts: Starts) -> Strategy:
    return Glo(space_of(loss), settings_of(GloSettings, options), seed)


def _taylor(options: Options, loss: Loss, seed: int, classes: int, starts: Starts) -> Strategy:
    if not classes:
        raise GloError("the strategy taylor is for tasks with classes")
    return Taylor(settings_of(TaylorSettings, options), seed, classes)


def _constants(options: Options, loss: Loss, seed: int, classes: int, starts: Starts) -> Strategy:
    return tuner_of(loss, settings_of(Tuning, options), seed)


STRATEGIES: dict[str, Callable[[Options, Loss, int, int, Starts], Strategy]] = {
    "islands": _islands, "nsga2": _nsga2, "glo": _glo, "taylor": _taylor, "constants": _constants,
}  # fmt: skip


def strategy_named(
    name: str, options: Options, loss: Loss, seed: int, classes: int, starts: Starts = no_starts
) -> Strategy:  # fmt: skip
    """The strategy of this name for a loss, which has a hole where the strategy needs one.

    `options` are fields of its settings; `classes` are those of the task, 0 for one without; `starts` gives known
    losses to those that begin with some.

    Raises:
        GloError: there is no such strategy or option, a value makes no sense, or the loss does not suit it.
    """
    if name not in STRATEGIES:
        raise GloError(
            f"no strategy {name}", hint=did_you_mean(name, STRATEGIES) or f"there are {', '.join(STRATEGIES)}"
        )
    try:
        return STRATEGIES[name](options, loss, seed, classes, starts)
    except ValueError as error:
        raise GloError(f"strategy {name}: {error}") from None


def settings_of(kind: type[T], options: Options) -> T:
    """Settings with these fields.

    Raises:
        GloError: a field that there is not, or a value of another type.
    """
    known = {f.name: f for f in fields(kind)}  # type: ignore[arg-type]
    given = {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}
    for name, value in given.items():
        if name not in known:
            hint = did_you_mean(name, (*known, *SETTINGS)) or f"there are {', '.join(known)}"
            raise GloError(f"no option {name}", hint=hint)
        default = known[name].default
        allowed = {float: (float, int), type(None): (int, type(None))}.get(type(default), (type(default),))
        if type(value) not in allowed:
            example = "a whole number" if default is None else f"such as {default!r}"
            raise GloError(f"option {name} is {value!r}", hint=example)
    return kind(**given)
