"""A loss back to `.glo` text out of its IR alone: what is stored, and sent to other processes."""

from __future__ import annotations

from glo_dsl.ir.expr import Var
from glo_dsl.ir.types import ANY, UNIT, Interval
from glo_dsl.lang.loss import Loss
from glo_dsl.lang.show import number, show


def restated(loss: Loss) -> str:
    """The definition of a loss, on lines of its own: reading it back gives the same inputs, parameters, expression and
    divisor, bit for bit. Laws, examples and comments are not in it.

    >>> import glo_dsl as glo
    >>> print(restated(glo.loads("loss f(p: real, y: real; k = 0.1 in [0, 1]) = k * (p - y)^2")["f"]))
    loss f(p: real, y: real; k = 0.1 in [0, 1]) =
      k * (p - y) ^ 2
    """
    groups = [", ".join(f"{v.name}: {_declared(v)}" for v in loss.inputs)]
    if loss.params:
        groups.append(", ".join(f"{p.name} = {number(p.default)}{_domain(p.var, ANY)}" for p in loss.params))
    per = f"\n  per {show(loss.per)}" if loss.per is not None else ""
    return f"loss {loss.name}({'; '.join(groups)}) =\n  {show(loss.expr)}{per}"


def _declared(variable: Var) -> str:
    """The type of an input, as it is declared."""
    shared = "shared " if variable.type.per_class and not variable.type.per_sample else ""
    if variable.simplex:
        return f"{shared}prob[C]{_domain(variable, UNIT)}"
    return f"{shared}{variable.type}{_domain(variable, ANY)}"


def _domain(variable: Var, usual: Interval) -> str:
    domain = variable.domain
    if domain == usual:
        return ""
    lower, upper = "(" if domain.open_lo else "[", ")" if domain.open_hi else "]"
    return f" in {lower}{number(domain.lo)}, {number(domain.hi)}{upper}"
