"""`glo zoo`: list, search and show the losses of the library."""

from __future__ import annotations

import re
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

import glo_dsl
from glo_dsl.errors import GloError, did_you_mean
from glo_dsl.lang.zoo_files import zoo_text
from glo_dsl.passes.zoo import Zoo


def zoo_command(
    names: Annotated[list[str] | None, typer.Argument(help="Losses to show; without any: a list of all.",
                                                      show_default=False)] = None,
    search: Annotated[str, typer.Option(help="Only those whose name or documentation has all these words.")] = "",
    family: Annotated[str, typer.Option(help="Only those of this family.")] = "",
) -> None:  # fmt: skip
    """The losses that come with glo-dsl: list them, search them, show them."""
    zoo: Zoo = glo_dsl.zoo
    if names:
        for name in names:
            if name not in zoo:
                hint = did_you_mean(name, zoo) or f"try: glo zoo --search {name}"
                raise GloError(f"the zoo has no loss {name}", hint=hint)
        print("\n\n".join(_shown(zoo, name) for name in names))
        return
    found = zoo.search(search) if search else sorted(zoo, key=lambda name: (zoo.family(name), name))
    families = sorted({zoo.family(name) for name in zoo})
    if family and family not in families:
        hint = did_you_mean(family, families) or f"there are: {', '.join(families)}"
        raise GloError(f"the zoo has no family {family}", hint=hint)
    found = [name for name in found if family in ("", zoo.family(name))]
    if not found:
        raise GloError(f"no loss of the zoo is about {search!r}", hint="glo zoo lists them all")
    _print(zoo, found)


def _shown(zoo: Zoo, name: str) -> str:
    """A loss with its documentation, the functions of its file that it calls, its laws and its examples."""
    loss = zoo[name]
    claims = [law.text for law in loss.laws] + [example.text for example in loss.examples]
    parts = [*_definitions([loss.text, *claims], f"{zoo.family(name)}.glo"), loss.text, "\n".join(claims)]
    return "\n\n".join(part for part in parts if part)


def _definitions(texts: list[str], file: str) -> list[str]:
    """The defs of the file that the texts call, those that they call among them, in the order of the file."""
    defs = {m[1]: m[0] for m in re.finditer(r"^def (\w+)\(.*(?:\n[ \t].*)*", zoo_text(file), re.M)}
    wanted = set[str]()
    while texts:
        words = set(re.findall(r"\w+", texts.pop())) & defs.keys() - wanted
        wanted |= words
        texts += [defs[word] for word in words]
    return ["\n".join(text for name, text in defs.items() if name in wanted)]


def _print(zoo: Zoo, found: list[str]) -> None:
    table = Table(title=f"{len(found)} losses", title_justify="left", box=None, pad_edge=False)
    for column in ("family", "loss", "what it is"):
        table.add_column(column, no_wrap=column != "what it is", overflow="fold")
    last = ""
    for name in found:
        family = zoo.family(name)
        table.add_row(family if family != last else "", name, _first_sentence(zoo[name].doc))
        last = family
    console = Console()
    if not console.is_terminal:
        console.width = 160
    console.print(table)
    end = "\nglo zoo NAME shows one; in a .glo file: import std; in Python: glo_dsl.zoo[NAME]."
    console.print(end, markup=False, highlight=False)


def _first_sentence(doc: str) -> str:
    text = " ".join(doc.split())
    sentence = re.match(r".*?[.:](?=\s+[A-Z]|$)", text)
    return sentence[0] if sentence else text
