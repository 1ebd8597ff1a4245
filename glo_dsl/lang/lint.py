"""What is legal in a loss and still not what its author meant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from glo_dsl.errors import Diagnostic
from glo_dsl.ir.expr import Expr
from glo_dsl.lang.elaborate import Place
from glo_dsl.lang.loss import Loss


def lint(loss: Loss, places: Mapping[Expr, Place]) -> Iterator[Diagnostic]:
    yield from ()
