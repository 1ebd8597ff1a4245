"""The `.glo` texts of the operator table, parsed once: derivatives and definitions as expressions to fill in."""

from __future__ import annotations

from functools import cache, lru_cache

from glo_dsl.errors import GloError
from glo_dsl.ir.expr import POSITION, Expr, var, walk
from glo_dsl.ir.ops import UNKNOWN, Op
from glo_dsl.ir.table import OPS
from glo_dsl.ir.template import Template
from glo_dsl.ir.types import BOOL_ROW, CLASS_INDEX, REAL, REAL_ROW, Type
from glo_dsl.lang.elaborate import parse_expression

LETTERS = "abc"


def _argument_types(op: Op) -> tuple[Type, ...]:
    kinds = {"real": REAL_ROW, "any": REAL_ROW, "bool": BOOL_ROW, "class": CLASS_INDEX}
    return tuple(kinds[kind] for kind in op.kinds[:-1])


@cache
def _placeholders(op: Op) -> tuple[Expr, ...]:
    return tuple(var(letter, type) for letter, type in zip(LETTERS, _argument_types(op), strict=False))


@cache
def _adjoint(op: Op) -> Expr:
    return var("g", REAL if op.shape in ("reduce", "gather") else REAL_ROW)


@cache
def _value(op: Op) -> Expr:
    return var("out", op.result(tuple(a.type for a in _placeholders(op))))


@cache
def vjp_templates(op: Op) -> tuple[Expr | None, ...]:
    """One expression over a, b, c, out, g for each argument; None where there is no derivative, or no known one."""
    scope = {**dict(zip(LETTERS, _placeholders(op), strict=False)), "out": _value(op), "g": _adjoint(op)}
    name = f"the derivative of {op.name}"
    return tuple(parse_expression(text, scope, name) if text not in ("", "0", UNKNOWN) else None for text in op.vjp)


@cache
def definition_template(op: Op) -> Expr:
    """The `define` column over a, b, c."""
    scope = {**dict(zip(LETTERS, _placeholders(op), strict=False)), "position": POSITION}
    return parse_expression(op.define, scope, f"the definition of {op.name}")


@cache
def twins_template(op: Op) -> Expr:
    """The `twins` column over a and e."""
    scope = {"a": _placeholders(op)[0], "e": _decay()}
    return parse_expression(op.twins, scope, f"{op.name} beside that of the negative")


@cache
def _decay() -> Expr:
    return var("e", REAL_ROW)


@lru_cache(maxsize=1024)
def _ready(template: Expr, letters: tuple[Expr, ...]) -> Template:
    return Template(template, letters)


def vjp(op: Op, place: int, args: tuple[Expr, ...], out: Expr, g: Expr) -> Expr | None:
    """What the adjoint `g` of `out = op(args)` contributes to argument `place`, before summing broadcast axes.

    Raises:
        GloError: the table does not know this derivative.
    """
    if op.vjp[place] == UNKNOWN:
        raise GloError(f"no derivative of {op.call} is known", hint=f"stop({op.call}(...)) is taken as constant")
    template = vjp_templates(op)[place]
    if template is None:
        return None
    return _ready(template, (*_placeholders(op), _value(op), _adjoint(op))).filled((*args, out, g))


def define(op: Op, args: tuple[Expr, ...]) -> Expr:
    """`op(args)` in terms of other operators."""
    return _ready(definition_template(op), _placeholders(op)).filled(args)


def twin(op: Op, a: Expr, decay: Expr) -> Expr:
    """`op(a)` in terms of `a` and of `decay`, which is exp(-|a|)."""
    return _ready(twins_template(op), (*_placeholders(op), _decay())).filled((a, decay))


@cache
def reduces_its_adjoint(op: Op) -> bool:
    """Whether a derivative of `op` sums the adjoint over classes, so that it must be complete beforehand."""
    return any(template is not None and _sums(template) for template in vjp_templates(op))


@lru_cache(maxsize=1024)
def _sums(template: Expr) -> bool:
    return any(getattr(node, "op", None) is OPS["sum"] for node in walk((template,)))
