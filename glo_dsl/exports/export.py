"""A loss as a text for another library, checked when it is made."""

from __future__ import annotations

from glo_codegen.text import comment
from glo_dsl.errors import GloError, did_you_mean
from glo_dsl.exports.formulas import read_back
from glo_dsl.exports.running import NEEDS, check_text, imported
from glo_dsl.exports.texts import DIALECTS, array_text, latex_text, sympy_text
from glo_dsl.lang.latex_names import escaped
from glo_dsl.lang.loss import Loss

TARGETS = ("torch", "jax", "numpy", "sympy", "latex")

WHAT = {
    "torch": "value and derivatives by autograd", "jax": "value and derivatives by jax.jit(jax.vmap(jax.grad))",
    "numpy": "value", "sympy": "value and derivatives by sympy.diff",
}  # fmt: skip

DOCUMENT = r"""\documentclass{article}
\usepackage{amsmath}
\usepackage{amssymb}
\begin{document}

%s
\end{document}
"""


def export(loss: Loss, to: str, *, check: bool = True, document: bool = False) -> str:
    """A loss as a text that stands without glo-dsl.

    Args:
        to: "torch", "jax", "numpy": functions of whole arrays [..., C], differentiated by the library; "sympy": a
            function that builds the expression for a number of classes; "latex": the formulas of value and derivatives.
        check: run the text on samples from the loss's domains and compare it with the loss; the text says what came of
            it. Without, it says that nobody has tried it.
        document: for "latex", a document that can be compiled instead of formulas alone.

    Raises:
        GloError: the loss has a hole, is not what the library can take, or `to` is nothing known; the library that the
            check needs is not installed; or a number of the text is wrong.

    >>> import glo_dsl as glo
    >>> text = export(glo.loads("loss mse(p: real, y: real) = (p - y) ^ 2")["mse"], "numpy")
    >>> print(text[text.index("    return") :].splitlines()[0].strip())
    return np.square(p - y)
    """
    if to not in TARGETS:
        hint = did_you_mean(to, TARGETS) or f"choose one of {', '.join(TARGETS)}"
        raise GloError(f"nothing is exported to {to}", hint=hint)
    if document and to != "latex":
        raise GloError(f"an export to {to} is no document", hint="--document goes with --to latex")
    if to == "latex":
        return _formulas(loss, check, document)
    text = array_text(loss, to) if to in DIALECTS else sympy_text(loss)
    return _head(loss, to, _checked(loss, text, to) if check else _unchecked(to)) + text


def _head(loss: Loss, to: str, checked: str) -> str:
    import glo_dsl

    lines = [f"{loss.name}: a training loss, written by glo-dsl {glo_dsl.__version__} for {to}.", "", checked, "",
             "Its source:", "", *(f"    {line}" for line in loss.whole_text.splitlines())]  # fmt: skip
    mark = "%" if to == "latex" else "#"
    return "\n".join(comment("\n".join(lines), mark)) + "\n\n"


def _checked(loss: Loss, text: str, to: str) -> str:
    checked = check_text(loss, text, to)
    libraries = ", ".join(f"{name} {imported(name, to).__version__}" for name in NEEDS[to])
    return f"Checked against the loss in float64 with {libraries}: {WHAT[to]},\non {checked}."


def _unchecked(to: str) -> str:
    return f"NOT CHECKED: nobody has run this text. glo export --to {to} without --no-check does."


def _formulas(loss: Loss, check: bool, document: bool) -> str:
    formulas = latex_text(loss)
    check = check and not loss.holes  # what has a hole has no numbers
    outcomes = read_back(loss, formulas) if check else ("not read back",) * len(formulas)
    head = "Each formula says whether SymPy's LaTeX parser finds the loss in it." if check else _unchecked("latex")
    bodies = (f"\\[\n{formula}\n\\]" if document else formula for formula in formulas)
    parts = [f"% {outcome}\n{body}\n" for outcome, body in zip(outcomes, bodies)]
    text = "\n".join([*([f"\\section*{{{escaped(loss.name)}}}\n"] if document else []), *parts])
    return _head(loss, "latex", head) + (DOCUMENT % text if document else text)
