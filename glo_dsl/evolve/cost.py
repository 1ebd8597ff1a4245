"""What work costs, counted in networks that are trained."""

from __future__ import annotations

from glo_dsl.evolve.store.rows import Unit

SLOPES = 12
"""What a training with its derivatives counts as, in trainings without. By CPU time it is 11 to 15 for six networks on
digits, 6 for 24 and up to 25 for three of a long loss (benchmarks/constants.py)."""


def networks_of(unit: Unit) -> int:
    """What a unit costs, in trainings without derivatives."""
    return len(unit.payload["jobs"]) * len(unit.payload["seeds"]) * (SLOPES if unit.payload.get("slopes") else 1)
