"""glo-dsl: losses written in one line, compiled to fused loss-and-gradient kernels, and evolved.

Importing this package is cheap: torch is imported when something needs it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from glo_dsl.errors import Diagnostic, GloError, Span
from glo_dsl.lang.loss import Loss

if TYPE_CHECKING:
    from glo_dsl.passes.zoo import Zoo

    zoo: Zoo
    from glo_dsl.runtime.bundle import bundle as bundle
    from glo_dsl.runtime.compile import compile as compile
    from glo_dsl.runtime.linear import linear as linear

__version__ = "0.1.0"
__all__ = [
    "Diagnostic", "GloError", "Loss", "Span", "__version__", "bundle", "compile", "diagnose", "export", "gradient",
    "latex", "linear", "load", "loads", "read", "show", "zoo",
]  # fmt: skip


def loads(text: str, name: str = "<string>") -> dict[str, Loss]:
    """The losses of a `.glo` text, by name. `name` is what error messages call the text.

    Raises:
        GloError: the text is wrong, with the place.

    >>> loads("loss l1(p: real, y: real) = abs(p - y)")
    {'l1': <loss l1(p: real, y: real)>}
    """
    from glo_dsl.passes.lint import losses_without_errors

    return losses_without_errors(text, name)


def load(path: str | Path) -> dict[str, Loss]:
    """The losses of a `.glo` file, by name.

    Raises:
        GloError: the file cannot be read as UTF-8 text, or is wrong, with the place.
    """
    from glo_dsl.passes.lint import losses_without_errors

    return losses_without_errors(read(path), str(path), Path(path))


def diagnose(path: str | Path) -> tuple[Diagnostic, ...]:
    """Everything there is to say about a `.glo` file, errors and warnings, in the order of its text.

    Raises:
        GloError: the file cannot be read as UTF-8 text.
    """
    from glo_dsl.passes import lint

    return lint.diagnose(read(path), str(path), Path(path)).diagnostics


def read(path: str | Path) -> str:
    """The text of a `.glo` file.

    Raises:
        GloError: the file cannot be read as UTF-8 text.
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise GloError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise GloError(f"{path} is not UTF-8 text") from None


def gradient(loss: Loss, wrt: str) -> str:
    """The simplified derivative of a loss by one of its inputs or parameters, in `.glo`.

    >>> gradient(loads("loss ce(z: real[C], t: class[C]) = -log(softmax(z)[t])")["ce"], "z")
    'softmax(z) - onehot(t)'
    """
    from glo_dsl.lang.show import show as show_expression
    from glo_dsl.passes.pipeline import derive

    return show_expression(next(iter(derive(loss, [wrt]).gradients.values())))


def latex(loss: Loss, wrt: str | None = None) -> str:
    r"""A loss as it is written, or its simplified derivative by one of its inputs or parameters, in LaTeX for display.

    Raises:
        GloError: there is no such input or parameter, or no derivative by it.

    >>> l2 = loads("loss l2(p: real, y: real) = (p - y) ^ 2")["l2"]
    >>> print(latex(l2))
    \mathrm{l2}(p, y) = (p - y)^{2}
    >>> print(latex(l2, "p"))
    \frac{\partial\, \mathrm{l2}}{\partial p} = 2 (p - y)
    """
    from glo_dsl.lang.latex import derivative_latex
    from glo_dsl.lang.latex import latex as latex_of
    from glo_dsl.passes.pipeline import derive

    if wrt is None:
        return latex_of(loss)
    ((variable, found),) = derive(loss, [wrt]).gradients.items()
    return derivative_latex(loss, variable, found)


def export(loss: Loss, to: str, *, check: bool = True, document: bool = False) -> str:
    """A loss as a text for "torch", "jax", "numpy", "sympy" or "latex", that stands without glo-dsl.

    The text is run on samples from the loss's domains before it is returned, see `glo_dsl.exports.export`.

    Raises:
        GloError: the loss cannot be exported there, the library that checks the text is not installed, or a number of
            it is wrong.

    >>> mse = loads("loss mse(p: real, y: real; k = 1) = k * (p - y) ^ 2")["mse"]
    >>> text = export(mse, "sympy")
    >>> names = {}
    >>> exec(text, names)
    >>> names["mse"](p=3, y=1)
    4*k
    """
    from glo_dsl.exports.export import export as exported

    return exported(loss, to, check=check, document=document)


def show(loss: Loss) -> str:
    """The simplified value of a loss, in `.glo`."""
    from glo_dsl.lang.show import show as show_expression
    from glo_dsl.passes.pipeline import derive

    return show_expression(derive(loss, []).value)


def __getattr__(name: str) -> Any:
    if name == "compile":
        from glo_dsl.runtime.compile import compile

        return compile
    if name == "bundle":
        from glo_dsl.runtime.bundle import bundle

        return bundle
    if name == "linear":
        from glo_dsl.runtime.linear import linear

        return linear
    if name == "zoo":
        from glo_dsl.passes.zoo import Zoo

        return Zoo()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
