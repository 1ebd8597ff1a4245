"""The operator table as Markdown, for the language manual."""

from __future__ import annotations

from glo_dsl.ir.ops import UNKNOWN, Op
from glo_dsl.ir.table import OPS


def operator_table() -> str:
    """One line for each operator: how it is written, what it means, its derivatives, where it is defined."""
    lines = ["| written | meaning | derivatives by a, b, c (`g` from above) | finite for |", "|---|---|---|---|"]
    lines += [f"| `{_written(op)}` | {op.about} | {_derivatives(op)} | {_code(op.domain)} |" for op in OPS.values()]
    return "\n".join(lines).replace("a | b", "a \\| b") + "\n"


def _written(op: Op) -> str:
    letters = "abc"[: op.arity]
    if op.name == "select":
        return "if a then b else c"
    if op.name == "gather":
        return "a[b]"
    if op.notation is None:
        return f"{op.call}({', '.join(letters)})"
    sign = op.notation[0]
    return f"a {sign} b" if op.arity == 2 else f"{sign}{' ' * sign.isalpha()}a"


def _derivatives(op: Op) -> str:
    return ", ".join(text if text == UNKNOWN else _code(text) for text in op.vjp if text)


def _code(text: str) -> str:
    return f"`{text}`" if text else ""
