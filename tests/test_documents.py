"""What the documents say is so: every example in them runs, every name they list exists."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

import glo_dsl as glo
from glo_dsl.ir.manual import operator_table

ROOT = Path(__file__).parents[1]
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
        assert glo.loads(text)


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


def test_the_operator_table_in_the_manual_is_the_operator_table(request: pytest.FixtureRequest) -> None:
    path = ROOT / "grammar" / "LANGUAGE.md"
    head, rest = path.read_text(encoding="utf-8").split("<!-- operators -->\n")
    table, tail = rest.split("<!-- end of operators -->")
    if request.config.getoption("--update-golden"):
        path.write_text(
            f"{head}<!-- operators -->\n{operator_table()}<!-- end of operators -->{tail}", encoding="utf-8"
        )
    else:
        assert table == operator_table(), "run pytest --update-golden"


def test_files_that_the_readme_points_to_exist() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", (ROOT / "README.md").read_text(encoding="utf-8")):
        assert (ROOT / target).exists(), target
