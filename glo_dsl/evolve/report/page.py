"""The page about a search: one file that needs no other, runs no script, and shows what a study says as text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from glo_dsl.errors import GloError
from glo_dsl.evolve.report.contents import contents
from glo_dsl.evolve.report.gather import gathered
from glo_dsl.evolve.report.visible import visible
from glo_dsl.evolve.store.place import FILE
from glo_dsl.evolve.store.records import Records

REPORT = "report.html"

HERE = Path(__file__).parent


def write_report(records: Records, directory: Path, file: Path) -> None:
    """Writes the page about the study in `directory` to `file`, all of it or nothing.

    Raises:
        GloError: the study cannot be read or makes no sense, the file cannot be written, or matplotlib, Jinja2 or
            latex2mathml is missing.
    """
    text = page(records, str(directory / FILE))
    part = file.with_name(file.name + ".part")
    try:
        part.write_text(text, encoding="utf-8", errors="replace", newline="\n")
        part.replace(file)
    except OSError as error:
        raise GloError(f"{file} cannot be written: {error.strerror}", hint="choose another with -o FILE") from None


def page(records: Records, place: str) -> str:
    """The HTML text. `place` is where the study's file is said to be.

    Raises:
        GloError: as `write_report` does.
    """
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
        from markupsafe import Markup
    except ImportError:
        raise GloError("Jinja2 is missing", hint="pip install 'glo-dsl[search]'") from None
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        finalize=_seen,
    )  # fmt: skip
    style = Markup((HERE / "page.css").read_text(encoding="utf-8"))  # quotes in it are no text
    return environment.get_template("page.html").render(contents(gathered(records), place), style=style)


def _seen(value: Any) -> Any:
    """What is put into the page, unless it is markup of our own."""
    return visible(value) if type(value) is str else value
