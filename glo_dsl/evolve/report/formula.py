"""A loss as mathematics that a browser sets by itself: MathML, made of our LaTeX, with nothing else in it."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from glo_dsl.errors import GloError
from glo_dsl.ir.expr import Const, Expr, const, size, substitute, walk
from glo_dsl.lang.definitions import losses_of
from glo_dsl.lang.latex import latex
from glo_dsl.lang.loss import Loss
from glo_dsl.passes.simplify import simplify

LARGEST = 120
"""Nodes of a formula; beyond it nobody reads it, and the text says more."""

DIGITS = 4
"""Of the constants."""

_SPACE = "{http://www.w3.org/1998/Math/MathML}"
_TAGS = frozenset({
    "math", "mrow", "mi", "mn", "mo", "mtext", "mspace", "mfrac", "msqrt", "mroot", "msub", "msup", "msubsup", "munder",
    "mover", "munderover", "mtable", "mtr", "mtd",
})  # fmt: skip
_KEPT = frozenset({"display", "mathvariant", "stretchy", "fence", "form", "columnalign"})


def read_loss(text: str) -> Loss | None:
    """The loss of a definition, or None where it is none: a study may hold anything."""
    try:
        found = list(losses_of(text).values())
    except GloError:
        return None
    return found[0] if len(found) == 1 and not found[0].holes else None


def formula(text: str) -> str:
    """A definition in MathML, its constants put in, simplified; "" where it is too large, or none.

    >>> formula("loss f(p: real; k = 0.5) = k * p")[-52:]
    '<mo>=</mo><mrow><mn>0.5</mn><mi>p</mi></mrow></math>'
    >>> formula("no loss")
    ''
    """
    loss = read_loss(text)
    if loss is None:
        return ""
    value = _with_constants(loss)
    return mathml(latex(value)) if size(value) <= LARGEST else ""


def _with_constants(loss: Loss) -> Expr:
    """The value at the defaults of the parameters, its literals to few digits."""
    (filled,) = substitute((loss.expr,), {p.var: const(p.default) for p in loss.params})
    (simple,) = simplify((filled,))
    literals = [node for node in walk((simple,)) if isinstance(node, Const) and node.type.kind == "real"]
    (rounded,) = substitute((simple,), {c: const(float(f"{c.value:.{DIGITS}g}"), c.type) for c in literals})
    return rounded


def mathml(text: str) -> str:
    """A formula in LaTeX as MathML of known elements and attributes alone; "" where there is more in it.

    Raises:
        GloError: there is no latex2mathml.
    """
    try:
        from latex2mathml.converter import convert
    except ImportError:
        raise GloError("latex2mathml is missing", hint="pip install 'glo-dsl[search]'") from None
    try:
        root = ET.fromstring(convert(text.replace(r"\mathbb{1}", "\N{MATHEMATICAL DOUBLE-STRUCK DIGIT ONE}")))
    except ET.ParseError:  # what stands in a \text is not escaped
        return ""
    for node in root.iter():
        node.tag = node.tag.removeprefix(_SPACE)
        if node.tag not in _TAGS:
            return ""
        node.attrib = {name: value for name, value in node.attrib.items() if name in _KEPT}
    root.attrib = {"display": "block"}
    left = [ET.Element("mi"), ET.Element("mo")]
    left[0].text, left[1].text = "\N{SCRIPT CAPITAL L}", "="
    root[:0] = left
    return ET.tostring(root, encoding="unicode")
