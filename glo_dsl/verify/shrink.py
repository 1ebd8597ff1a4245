"""Counterexamples made simpler while they stay counterexamples: fewer rows and classes, simpler numbers.

Hypothesis shrinks what it has drawn itself, one candidate after the other. Here all candidates of a step are judged
together, and random rows, which nobody has drawn, become simple too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glo_dsl.ir.expr import Var
from glo_dsl.verify.batch import Batch, Sample, Value, by_classes
from glo_dsl.verify.space import Space
from glo_dsl.verify.values import complexity

Array = NDArray[Any]
Fails = Callable[[Batch], Array]
"""For each row of a batch, whether it is a counterexample."""

MAX_STEPS = 60
"""Simplifications after which a counterexample is taken as it is."""

WIDE = 40
"""Classes above which they are taken away by halves only."""


def shrunk(space: Space, sample: Sample, fails: Fails) -> Sample:
    """A simpler counterexample; of equally simple ones the first found.

    >>> import glo_dsl as glo
    >>> from glo_dsl.verify.space import space_of
    >>> loss = glo.loads("loss f(z: real[C], t: class[C]) = z[t]")["f"]
    >>> space = space_of(loss)
    >>> start = Sample(space.variables, {"z": (0.123, 7.5, -4.25), "t": 1.0}, 3)
    >>> print(shrunk(space, start, lambda batch: batch.columns["z"].max(-1) > 2.2))
    z = [3], t = 0
    """
    for _ in range(MAX_STEPS):
        for candidates in (_fewer_classes(space, sample), _simpler(space, sample)):
            found = _simplest(sample, list(candidates), fails)
            if found is not None:
                sample = found
                break
        else:
            return sample
    return sample


def weight(sample: Sample) -> float:
    """How hard a sample is to read."""
    total = 10.0 * sample.classes
    for value in sample.values.values():
        entries = value if isinstance(value, tuple) else (value,)
        total += sum(map(complexity, entries)) + len(set(entries)) / 4
    return total


def _simplest(sample: Sample, candidates: list[Sample], fails: Fails) -> Sample | None:
    """The simplest of the candidates that fails, if it is simpler than the sample itself."""
    lighter = [c for c in candidates if weight(c) < weight(sample) - 1e-9]
    failing = [row for batch in by_classes(lighter) for row, bad in zip(batch, fails(batch), strict=True) if bad]
    return min(failing, key=weight, default=None)


def _fewer_classes(space: Space, sample: Sample) -> Iterator[Sample]:
    """Half of the classes, or all but one."""
    count = sample.classes
    if not space.counted or count == 1:
        return
    halves = [range(count // 2), range(count // 2, count)]
    singles = [[k for k in range(count) if k != away] for away in range(count)] if count <= WIDE else []
    pairs = [[i, j] for i in range(count) for j in range(i)] if 3 < count <= WIDE else []
    for kept in [*([k] for k in range(count)), *halves, *singles, *pairs]:
        found = _with_classes(sample, list(kept))
        if found is not None:
            yield found


def _with_classes(sample: Sample, kept: list[int]) -> Sample | None:
    values: dict[str, Value] = {}
    for v in sample.variables:
        value = sample.values[v.name]
        if isinstance(value, tuple):
            value = tuple(value[k] for k in kept)
            if v.simplex:
                if sum(value) <= 0:
                    return None
                value = tuple(entry / sum(value) for entry in value)
        elif v.type.kind == "class":
            if value not in kept:
                return None
            value = float(kept.index(int(value)))
        values[v.name] = value
    return Sample(sample.variables, values, len(kept))


def _simpler(space: Space, sample: Sample) -> Iterator[Sample]:
    """One value made simpler, or all that are equal at once, or a row made even."""
    for v in sample.variables:
        value = sample.values[v.name]
        if isinstance(value, tuple):
            yield from (_set(sample, {v.name: row}) for row in _rows(v, value))
        for old in set(value if isinstance(value, tuple) else (value,)):
            for new in _instead(space, v, old):
                yield from _exchanged(sample, v, old, new)


def _exchanged(sample: Sample, v: Var, old: float, new: float) -> Iterator[Sample]:
    """A number exchanged at one place, and wherever it stands in any real variable that may be the new one."""
    value = sample.values[v.name]
    if not isinstance(value, tuple):
        yield _set(sample, {v.name: new})
    elif not v.simplex:
        for place, entry in enumerate(value):
            if entry == old:
                yield _set(sample, {v.name: (*value[:place], new, *value[place + 1 :])})
    if v.type.kind != "real":
        return
    changed: dict[str, Value] = {}
    for other in sample.variables:
        entries = sample.values[other.name]
        if other.type.kind != "real" or other.simplex or not other.domain.contains(new):
            continue
        if isinstance(entries, tuple) and old in entries:
            changed[other.name] = tuple(new if entry == old else entry for entry in entries)
        elif entries == old:
            changed[other.name] = new
    yield _set(sample, changed)


def _set(sample: Sample, changed: dict[str, Value]) -> Sample:
    return replace(sample, values={**sample.values, **changed})


def _instead(space: Space, v: Var, old: float) -> Iterator[float]:
    """Simpler values that a variable may have, without those of a row of probabilities."""
    if v.type.kind != "real":
        yield from (float(k) for k in range(int(old)))
        return
    if v.simplex:
        return
    rounded = [float(np.rint(old * scale) / scale) for scale in (1, 2, 4, 10, 100, 1000)]
    powers = [float(10.0**k) * np.sign(old) for k in range(-6, 5)]
    for new in {*space.special(v), *rounded, *powers, *(float(round(old / 2, 3)), -old)}:
        if v.domain.contains(new) and complexity(new) < complexity(old):
            yield float(new)


def _rows(v: Var, row: tuple[float, ...]) -> Iterator[tuple[float, ...]]:
    """Simpler rows as a whole."""
    count = len(row)
    if v.simplex:
        yield tuple(1 / count for _ in row)
        yield from (tuple(float(k == at) for k in range(count)) for at in range(count))
        halves = np.rint(np.asarray(row) * 4)
        if halves.sum() == 4:
            yield tuple(halves / 4)
        return
    if v.type.kind == "real":
        for entry in set(row):
            moved = tuple(other - entry for other in row)
            if all(v.domain.contains(other) for other in moved):
                yield moved
            yield (entry,) * count
