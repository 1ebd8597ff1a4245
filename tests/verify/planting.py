"""Faults planted in the compiler for as long as a test runs: no `.glo` file can hold a wrong gradient."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from glo_dsl.ir.table import OPS
from glo_dsl.passes import rules, simplify, templates
from glo_dsl.verify import oracle


def _forget() -> None:
    """What was read from tables is read again."""
    tables = (templates.vjp_templates, templates.definition_template, templates.twins_template)
    for cached in (*tables, simplify.family, oracle._forward):
        cached.cache_clear()


@contextmanager
def column(op: str, name: str, content: object) -> Iterator[None]:
    """Another content of one column in one row of the operator table."""
    row = OPS[op]
    kept = getattr(row, name)
    object.__setattr__(row, name, content)
    _forget()
    try:
        yield
    finally:
        object.__setattr__(row, name, kept)
        _forget()


@contextmanager
def rule(line: str, instead_of: str = "") -> Iterator[None]:
    """One more rule, before all others or instead of one."""
    kept = rules.IDENTITIES
    rules.IDENTITIES = kept.replace(f"\n{instead_of}\n", f"\n{line}\n") if instead_of else f"\n{line}{kept}"
    assert kept != rules.IDENTITIES
    _forget()
    try:
        yield
    finally:
        rules.IDENTITIES = kept
        _forget()
