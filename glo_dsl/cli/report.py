"""`glo report`: a search as one page of HTML."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report_command(
    directory: Annotated[Path, typer.Argument(help="Where the study is.", show_default=False)],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The file to write; report.html beside the study by default.")
    ] = None,
) -> None:
    """Write a page about a search, also one that is running or was interrupted: one file of HTML, without scripts."""
    from glo_dsl.evolve.report.page import REPORT, write_report
    from glo_dsl.evolve.store.records import Records

    with Records.open(directory) as records:
        file = output or directory / REPORT
        write_report(records, directory, file)
    typer.echo(f"Written to {file}: open it in a browser")
