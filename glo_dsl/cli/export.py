"""`glo export`: a loss as a text for PyTorch, JAX, NumPy, SymPy or LaTeX that stands without glo-dsl."""

from __future__ import annotations

from typing import Annotated

import typer

from glo_dsl.cli.compile import find, write


def export_command(
    file: Annotated[str, typer.Argument(help="A .glo file, or the name of a loss of the library.",
                                        show_default=False)],
    to: Annotated[str, typer.Option(help="torch, jax, numpy, sympy or latex.", show_default=False)],
    loss: Annotated[str, typer.Option(help="Which loss of the file; needed when there are several.")] = "",
    output: Annotated[str, typer.Option("-o", "--output", help="Where to write; else standard output.")] = "",
    no_check: Annotated[bool, typer.Option("--no-check", help="Write the text without having run it; it says so.")]
    = False,
    document: Annotated[bool, typer.Option("--document", help="LaTeX: a document to compile.")] = False,
) -> None:  # fmt: skip
    """Write a loss for another library; the text is run and compared with the loss before it is written."""
    from glo_dsl.exports.export import export

    write(export(find(file, loss), to, check=not no_check, document=document), output, "text")
