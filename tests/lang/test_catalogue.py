"""Every diagnostic of the index is said of its example, alone, and none is said that the index lacks."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from glo_dsl.errors import Diagnostic
from glo_dsl.lang import definitions, terms
from glo_dsl.lang.catalogue import CATALOGUE, ENTRIES, Entry
from glo_dsl.passes.lint import diagnose

PACKAGE = Path(definitions.__file__).parents[1]
LIMITS = ("too-many-terms", "too-many-nodes")


def said_of(entry: Entry, folder: Path) -> tuple[Diagnostic, ...]:
    """What is said of the example of an entry, which is a file if it imports one."""
    if entry.beside:
        (folder / "other.glo").write_text(entry.beside)
    for n in range(101) if entry.code == "too-many-imports" else ():
        (folder / f"other{n}.glo").write_text("")
    path = None if entry.code == "import-without-file" else folder / "main.glo"
    if path:
        path.write_text(entry.example)
    return diagnose(entry.example, "main.glo", path).diagnostics


@pytest.mark.parametrize("code", [code for code in ENTRIES if code not in LIMITS])
def test_the_example_gets_this_diagnostic_and_no_other(code: str, tmp_path: Path) -> None:
    found = said_of(ENTRIES[code], tmp_path)
    assert [d.code for d in found] == [code], [str(d) for d in found]
    (diagnostic,) = found
    assert diagnostic.span is not None and diagnostic.source is not None
    warning = "(warning)" in ENTRIES[code].what and "(error)" not in ENTRIES[code].what
    assert (diagnostic.severity == "warning") == warning or "(error)" in ENTRIES[code].what
    assert not diagnostic.message.endswith(".") and not diagnostic.message[:2].istitle()


def test_the_messages_are_these(golden: Callable[[str, str], None], tmp_path: Path) -> None:
    texts = []
    for title, group in CATALOGUE.items():
        for entry in group:
            if entry.code in LIMITS:
                continue
            folder = tmp_path / entry.code
            folder.mkdir()
            shown = "\n\n".join(str(d) for d in said_of(entry, folder))
            texts.append(f"--- {title}: {entry.code}\n{shown.replace(entry.code, entry.code)}")
    golden("\n\n".join(texts).replace(str(tmp_path), "...") + "\n", "diagnostics.txt")
    assert len(texts) >= 60


def test_limits_are_diagnostics_too(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "loss f(x: real) = x + x * (x + 1)"
    monkeypatch.setattr(terms, "MAX_TERMS", 3)
    assert [d.code for d in diagnose(text).errors] == ["too-many-terms"]
    monkeypatch.undo()
    monkeypatch.setattr(definitions, "MAX_NODES", 3)
    assert [d.code for d in diagnose(text).errors] == ["too-many-nodes"]


def test_no_code_is_said_that_the_index_lacks() -> None:
    written = set()
    for file in (file for part in ("lang", "passes", "ir") for file in (PACKAGE / part).rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        written |= set(re.findall(r'(?:say|Advice|_say)\(\s*"([a-z]+(?:-[a-z]+)*)"', text))
        written |= set(re.findall(r'code="([a-z-]+)"', text))
    written |= {f"{kind}-expected" for kind in ("real", "bool", "class")}
    assert len(written) > 60
    assert written <= ENTRIES.keys(), written - ENTRIES.keys()
