"""What a search is told to do: written into its study, and all that its result depends on."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from glo_dsl.errors import GloError, did_you_mean
from glo_dsl.evolve.presets import PRESETS

DEVICES = r"cpu|cuda(:\d{1,3})?"
"""What devices are called."""


@dataclass(frozen=True)
class Config:
    """A search, but for where it runs. Every random choice follows from `seed`.

    Attributes:
        space: the `.glo` text that is searched. loss: its name there.
        task, task_options: as `task_named` takes them.
        strategy, strategy_options: as `strategy_named` takes them.
        trainings: networks that the strategy may train; what comes after, to be sure of the winners, is not counted.
        steps: of each training; None for those of the task.
        rungs: shares of them after which candidates are judged. keep: share that goes on.
        rates: "scaled": candidates are trained at learning rates at which their first steps are as long as
            cross-entropy's would be, times `rate_factors`; "task": all at the task's, as the papers do.
        device: "cpu", or the GPU that networks are trained on, such as "cuda"; its arithmetic is not that of the CPU to
            the last bit, so it is a part of the search.
        attack: by how much inputs are changed to see how robust networks are, see `train.attack`; 0 for not at all.
        search_seeds, leader_seeds, rate_seeds, tune_seeds, confirm_seeds, fresh_seeds: networks for each purpose; no
            two purposes share a seed.
        leaders: candidates that are looked at a second time. finalists: those of them that are reported.
        tune_method: "cma", "gradient" or "both", for the constants of the finalists; see `Tuning`.
        tune_generations: of CMA-ES on them, 0 for none; other methods take as many trainings.
        tune_sigma: the first step.
    """

    space: str
    loss: str
    task: str = "digits"
    task_options: Mapping[str, Any] = field(default_factory=dict)
    strategy: str = "islands"
    strategy_options: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    trainings: int = 6000
    steps: int | None = None
    rungs: tuple[float, ...] = (0.25, 1.0)
    keep: float = 0.5
    rates: Literal["scaled", "task"] = "scaled"
    rate_factors: tuple[float, ...] = (0.7, 1.4)
    device: str = "cpu"
    attack: float = 0.0
    search_seeds: int = 2
    leader_seeds: int = 10
    rate_seeds: int = 10
    tune_seeds: int = 6
    confirm_seeds: int = 40
    fresh_seeds: int = 100
    leaders: int = 12
    finalists: int = 3
    tune_method: Literal["cma", "gradient", "both"] = "cma"
    tune_generations: int = 12
    tune_sigma: float = 0.3

    def __post_init__(self) -> None:
        """Raises GloError for values that make no sense."""
        for name in (
            "search_seeds",
            "leader_seeds",
            "rate_seeds",
            "tune_seeds",
            "confirm_seeds",
            "leaders",
            "finalists",
            "trainings",
        ):
            _at_least(name, getattr(self, name), 1)
        _at_least("fresh_seeds", self.fresh_seeds, 2)
        _at_least("tune_generations", self.tune_generations, 0)
        if self.steps is not None:
            _at_least("steps", self.steps, 1)
        if self.rates not in ("scaled", "task"):
            raise GloError(f"rates is {self.rates!r}", hint="it is scaled or task")
        if self.tune_method not in ("cma", "gradient", "both"):
            raise GloError(f"tune_method is {self.tune_method!r}", hint="it is cma, gradient or both")
        shares = (0.0, *self.rungs)
        if not self.rungs or self.rungs[-1] != 1 or any(a >= b for a, b in pairwise(shares)):
            raise GloError(f"rungs are {list(self.rungs)}", hint="rising shares of the training, the last of them 1")
        if not 0 < self.keep <= 1:
            raise GloError(f"keep is {self.keep:g}", hint="the share that goes on after a rung: above 0, at most 1")
        if not re.fullmatch(DEVICES, self.device):
            raise GloError(f"device is {self.device!r}", hint="it is cpu, cuda, or one of several: cuda:0, cuda:1, ...")
        if not 0 <= self.attack < math.inf:
            raise GloError(f"attack is {self.attack:g}", hint="a size in units of the inputs, 0 for no attack")
        if not self.rate_factors or min(self.rate_factors) <= 0:
            raise GloError(f"rate_factors are {list(self.rate_factors)}", hint="one number above 0 at least")

    def seeds(self, purpose: Literal["search", "leader", "rate", "tune", "confirm", "fresh"]) -> tuple[int, ...]:
        """The seeds of the networks of one purpose."""
        order = ("search", "leader", "tune", "rate", "fresh", "confirm")
        first = 100_000 * (1 + order.index(purpose)) + 1000 * self.seed
        return tuple(range(first, first + getattr(self, f"{purpose}_seeds")))

    def as_json(self) -> dict[str, Any]:
        """What `from_json` takes."""
        return asdict(self)


SETTINGS = tuple(f.name for f in fields(Config))
"""Of a search; what is called otherwise is an option of its strategy."""


def from_json(found: Mapping[str, Any]) -> Config:
    """The configuration that a study has.

    Raises:
        GloError: a key that there is not, or a value that makes no sense.
    """
    known = {f.name: f for f in fields(Config)}
    for name in found:
        if name not in known:
            raise GloError(f"unknown setting {name}", hint=did_you_mean(name, known) or "see glo search --help")
    values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in found.items()}
    for name, value in values.items():
        if not _fits(value, str(known[name].type)):
            raise GloError(f"{name} is {value!r}", hint=f"it is {_words(str(known[name].type))}")
    try:
        return Config(**values)
    except TypeError as error:
        raise GloError(f"a setting is missing: {error}") from None


def read_toml(path: Path) -> dict[str, Any]:
    """The settings of a TOML file, not yet checked.

    Raises:
        GloError: it cannot be read, or is no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise GloError(f"{path} cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise GloError(f"{path} is no TOML: {error}") from None


def separated(
    toml: Mapping[str, Any], settings: Sequence[tuple[str, Any]], strategy: str | None, options: Mapping[str, Any],
    given: Mapping[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """Settings from all sides in one table: what is said later in the argument list comes before what is said earlier.

    A name in `settings` that is none of a search is an option of the strategy.
    """
    found = dict(toml)
    tables = {name: dict(found.pop(name, {})) for name in ("task_options", "strategy_options")}
    for name, value in settings:
        if name in SETTINGS:
            found[name] = value
        else:
            tables["strategy_options"][name] = value
    tables["strategy_options"] |= options
    tables["task_options"] |= given.get("task_options", {})
    found |= {name: value for name, value in given.items() if name != "task_options"}
    if strategy is not None:
        found["strategy"] = strategy
    return found | tables


def configured(space: str, loss: str, found: Mapping[str, Any]) -> Config:
    """The configuration of a search in a text, with what its strategy sets where nothing is said.

    Raises:
        GloError: a setting that there is not, or a value that makes no sense.
    """
    preset = PRESETS.get(str(found.get("strategy", "islands")), {})
    return from_json({"space": space, "loss": loss, **preset, **found})


def _at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise GloError(f"{name} is {value}", hint=f"it is {least} at least")


def _fits(value: object, annotation: str) -> bool:
    """Whether a value read from JSON or TOML is of the annotated type, as far as that matters."""
    if annotation.startswith("Mapping"):
        return isinstance(value, Mapping)
    if annotation.startswith("tuple"):
        return isinstance(value, tuple) and all(type(v) in (int, float) for v in value)
    if annotation == "int | None":
        return value is None or type(value) is int
    if annotation == "float":
        return type(value) in (int, float)
    return type(value) is {"int": int}.get(annotation, str)


def _words(annotation: str) -> str:
    words = {"int": "a whole number", "int | None": "a whole number", "float": "a number"}
    if annotation.startswith("Mapping"):
        return "a table"
    return words.get(annotation, "a list of numbers" if annotation.startswith("tuple") else "a text")
