"""`glo lsp`: the language server, for editors to start."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

import glo_dsl
from glo_dsl.errors import GloError

PACKAGES = ("pygls", "lsprotocol", "cattrs", "attrs", "attr")
"""What the extra installs."""


def lsp_command(
    stdio: Annotated[bool, typer.Option("--stdio", help="It does so anyway; some editors say it.")] = False,
) -> None:  # fmt: skip
    """Answer an editor over standard input and output, in the Language Server Protocol."""
    try:
        from glo_dsl.editor.server import serve
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in PACKAGES:
            raise
        raise GloError("the language server needs pygls", hint="pip install 'glo-dsl[lsp]'") from None
    if sys.stdin.isatty():
        print("glo lsp waits for an editor on standard input; Ctrl-D ends it", file=sys.stderr)
    serve(glo_dsl.__version__)
