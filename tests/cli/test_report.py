"""`glo report`, and the page that a search leaves behind."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from glo_dsl.cli.main import main
from glo_dsl.cli.searching import shown
from glo_dsl.evolve.session import Where, begin, resume
from glo_dsl.evolve.store.study import Study
from tests.evolve.conftest import small

Glo = Callable[..., tuple[object, str, str]]
HINT = "name the directory that a search wrote"


@pytest.fixture
def glo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Glo:
    """Runs a command in this process: its exit code, its output and its errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")

    def call(*words: str) -> tuple[object, str, str]:
        monkeypatch.setattr(sys, "argv", ["glo", *words])
        with pytest.raises(SystemExit) as stopped:
            main()
        return (stopped.value.code or 0, *capsys.readouterr())

    return call


def without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in sys.modules if n.partition(".")[0] == "matplotlib"]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)


def test_a_search_says_where_its_page_is_or_why_there_is_none(
    tmp_path: Path, glo: Glo, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found, here = Path("found"), Where(workers=1)
    config = small(trainings=12, tune_generations=0, fresh_seeds=2)
    with monkeypatch.context() as bare:
        without_matplotlib(bare)
        shown(lambda report: begin(config, found, here, report), found)
        said = capsys.readouterr().out
        assert "Written to found: best.glo" in said
        assert "No report.html was written: matplotlib is missing: pip install 'glo-dsl[search]'" in said
        assert (found / "best.glo").exists() and not (found / "report.html").exists()
        code, _, error = glo("report", "found")
        assert code == 1 and "matplotlib is missing" in error and "pip install 'glo-dsl[search]'" in error
    shown(lambda report: resume(found, here, report), found)
    assert "Written to found: report.html (open it in a browser), best.glo" in capsys.readouterr().out
    assert glo("report", "found", "-o", "again.html") == (0, "Written to again.html: open it in a browser\n", "")
    assert Path("again.html").read_bytes() == (found / "report.html").read_bytes()


def test_mistakes(tmp_path: Path, glo: Glo) -> None:
    assert glo("report", "nowhere") == (1, "", f"there is no directory nowhere\n  {HINT}\n")
    Path("bare").mkdir()
    assert "there is no study in" in glo("report", "bare")[2]
    Path("bare/study.sqlite3").write_bytes(b"no database" * 100)
    code, _, error = glo("report", "bare")
    assert code == 1 and "is damaged, or not a study" in error
    Study.create(Path("young"), small().as_json()).close()
    assert glo("report", "young") == (0, f"Written to {Path('young/report.html')}: open it in a browser\n", "")
    code, _, error = glo("report", "young", "-o", "no/such/place.html")
    assert code == 1 and "cannot be written" in error and "-o FILE" in error
