"""`glo` and `glo-compile`: the commands, and how a user's mistake is reported."""

from __future__ import annotations

import sys
from collections.abc import Callable

import typer

import glo_dsl
from glo_dsl.cli.bench import bench_command
from glo_dsl.cli.check import check_command
from glo_dsl.cli.compile import compile_command
from glo_dsl.cli.explain import explain_command
from glo_dsl.cli.export import export_command
from glo_dsl.cli.fmt import fmt_command
from glo_dsl.cli.lsp import lsp_command
from glo_dsl.cli.report import report_command
from glo_dsl.cli.search import front_command, resume_command, search_command, tune_command
from glo_dsl.cli.zoo import zoo_command
from glo_dsl.errors import GloError

app = typer.Typer(
    help="Write, compile and search training losses.", no_args_is_help=True, add_completion=False,
    pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip
app.command("bench")(bench_command)
app.command("check")(check_command)
app.command("compile")(compile_command)
app.command("explain")(explain_command)
app.command("export")(export_command)
app.command("fmt")(fmt_command)
app.command("lsp")(lsp_command)
app.command("front")(front_command)
app.command("report")(report_command)
app.command("resume")(resume_command)
app.command("search")(search_command)
app.command("tune")(tune_command)
app.command("zoo")(zoo_command)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"glo-dsl {glo_dsl.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(False, "--version", help="Say which version this is.", callback=_version),
) -> None:
    """Write, compile and search training losses."""


compiler = typer.Typer(
    add_completion=False, pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]}
)
compiler.command()(compile_command)


def main() -> None:
    """The command `glo`."""
    _run(app)


def compile_main() -> None:
    """The command `glo-compile`, the same as `glo compile`."""
    _run(compiler)


def _run(command: Callable[[], object]) -> None:
    """Runs a command; what the user can mend is said without a traceback, and the exit code is 1."""
    try:
        command()
    except GloError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
