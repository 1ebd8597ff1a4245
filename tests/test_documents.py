"""What the documents say is so: every example in them runs, every name they list exists."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

import glo_dsl as glo
from glo_dsl.ir.manual import operator_table
from glo_dsl.lang.catalogue import index
from glo_dsl.lang.imports import prelude_table
from glo_dsl.passes.lint import diagnose

ROOT = Path(__file__).parents[1]
GENERATED = {"operators": operator_table, "prelude": prelude_table, "diagnostics": index}
DOCUMENTS = [ROOT / "README.md", ROOT / "grammar" / "LANGUAGE.md"]


def blocks(path: Path, language: str) -> list[str]:
    """The fenced blocks marked with this language ("" for unmarked ones)."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", path.read_text(encoding="utf-8"), re.M | re.S)
    return [text for mark, text in found if mark == language]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_losses_in_the_documents_are_losses(path: Path) -> None:
    found = blocks(path, "glo")
    assert found
    for text in found:
        module = diagnose(text)
        assert module.losses and module.diagnostics == ()


def test_python_in_the_readme_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(ROOT)
    found = blocks(ROOT / "README.md", "python")
    assert found
    for text in found:
        (tmp_path / "block.py").write_text(text)
        runpy.run_path(str(tmp_path / "block.py"))


def test_the_error_in_the_readme_is_the_one_that_comes() -> None:
    (shown,) = (b for b in blocks(ROOT / "README.md", "") if "sotfmax" in b)
    text = "# A loss.\n\nloss focal(z: real[C]) = sotfmax(z)"
    with pytest.raises(glo.GloError) as error:
        glo.loads(text, "focal.glo")
    assert str(error.value) == shown.strip()


def test_the_warning_in_the_readme_is_the_one_that_comes() -> None:
    (shown,) = (b for b in blocks(ROOT / "README.md", "") if "log needs" in b)
    text = "loss bce(p: real, y: real) = -y * log(p) - (1 - y) * log(1 - p)"
    assert str(diagnose(text, "bce.glo").warnings[0]) == shown.strip()


@pytest.mark.parametrize("part", ["operators", "prelude", "diagnostics"])
def test_what_is_generated_in_the_manual_is_up_to_date(part: str, request: pytest.FixtureRequest) -> None:
    path, text = ROOT / "grammar" / "LANGUAGE.md", GENERATED[part]()
    head, rest = path.read_text(encoding="utf-8").split(f"<!-- {part} -->\n")
    found, tail = rest.split(f"<!-- end of {part} -->")
    if request.config.getoption("--update-golden"):
        path.write_text(f"{head}<!-- {part} -->\n{text}<!-- end of {part} -->{tail}", encoding="utf-8")
    else:
        assert found == text, "run pytest --update-golden"


def test_files_that_the_readme_points_to_exist() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", (ROOT / "README.md").read_text(encoding="utf-8")):
        assert (ROOT / target).exists(), target
