"""The page as a browser reads it: whole, closed to scripts and networks, and the same for the same study."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from glo_dsl.errors import GloError
from glo_dsl.evolve import report
from glo_dsl.evolve.report.figure import VARIABLES
from glo_dsl.evolve.report.page import page, write_report
from glo_dsl.evolve.store.records import Records
from glo_dsl.evolve.store.study import Study
from tests.evolve.report.conftest import EVIL
from tests.evolve.report.outline import Outline

Page = Callable[[Path], str]

TAGS = frozenset({
    "html", "head", "meta", "title", "link", "style", "body", "a", "header", "p", "span", "h1", "h2", "h3",
    "nav", "ol", "ul", "li", "main", "section", "div", "dl", "dt", "dd", "small", "pre", "code", "table",
    "caption", "thead", "tbody", "tr", "th", "td", "details", "summary", "figure", "figcaption", "b", "cite",
    "sub", "footer", "svg", "g", "defs", "path", "use", "text", "line", "rect", "clippath", "math", "mrow",
    "mi", "mn", "mo", "msub", "msup", "mfrac", "munder", "msqrt", "mtext",
})  # fmt: skip


def test_every_page_is_whole_and_closed(any_study: Path, page_of: Page) -> None:
    text = page_of(any_study)
    outline = Outline.of(text)
    assert {e.tag for e in outline.elements} <= TAGS
    (policy,) = [e for e in outline.all("meta") if e.attributes.get("http-equiv") == "Content-Security-Policy"]
    assert policy.attributes["content"] == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    links = [v for e in outline.elements for n, v in e.attributes.items() if n in ("href", "src", "xlink:href")]
    assert links and all(link.startswith(("#", "data:,")) for link in links)
    assert not [n for e in outline.elements for n in e.attributes if n.startswith("on")]
    assert "url(" not in re.sub(r"url\(#[\w-]+\)", "", text) and "@import" not in text
    assert len(text.encode("utf-8", "replace")) < 2_000_000


def test_every_page_can_be_found_one_s_way_in(any_study: Path, page_of: Page) -> None:
    outline = Outline.of(page_of(any_study))
    names = [e.attributes["id"] for e in outline.elements if "id" in e.attributes]
    assert len(names) == len(set(names))
    for element in outline.elements:
        for name, value in element.attributes.items():
            if name == "href" and value.startswith("#"):
                assert value[1:] in names, value
            if "url(#" in value:
                assert value.removeprefix("url(#").rstrip(")") in names, value
    for drawing in outline.all("svg"):
        assert drawing.attributes.get("aria-hidden") == "true" or len(drawing.attributes["aria-label"]) > 20
    assert len(outline.all("caption")) == len(outline.all("table")) > 0
    assert all(e.attributes["scope"] in ("row", "col") for e in outline.all("th"))
    assert len(outline.all("h1")) == 1 and outline.all("html")[0].attributes["lang"] == "en"
    assert all(f.text.strip().startswith("Figure") for f in outline.all("figcaption"))


def test_the_style_is_whole_and_defines_what_is_used(ended: Path, page_of: Page) -> None:
    style = Path(report.__file__).with_name("page.css").read_text(encoding="utf-8")
    (sheet,) = Outline.of(page_of(ended)).all("style")
    assert sheet.text.strip() == style.strip()
    used = set(re.findall(r"var\(--([\w-]+)\)", page_of(ended)))
    assert used <= set(re.findall(r"--([\w-]+):", style)) and set(VARIABLES[:5]) <= used
    day, night = style.split("prefers-color-scheme: dark", 1)
    for name in VARIABLES:
        assert f"--{name}: #" in day and f"--{name}: #" in night


def test_no_color_is_fixed(ended: Path, page_of: Page) -> None:
    """Else it would be lost in the dark."""
    for drawing in re.findall(r"<svg.*?</svg>", page_of(ended), re.S):
        assert not re.search(r"(fill|stroke): #", drawing), drawing[:200]


def test_an_ended_search_has_every_part(ended: Path, page_of: Page) -> None:
    outline = Outline.of(page_of(ended))
    captions = " ".join(e.text for e in outline.all("figcaption"))
    for title in ("Progress", "Front", "Rungs", "Funnel", "Value", "Gradient", "Learning rule", "Learning rates"):
        assert f". {title}." in captions, title
    assert [e.text for e in outline.all("h2")] == ["Result", "Search", "Losses", "Origin", "Again"]
    assert outline.all("math") and "ℒ" in outline.all("math")[0].text  # noqa: RUF001
    best = (ended / "front.glo").read_text().split("\n\n")[0]
    assert best.partition("(")[2].strip() in " ".join(e.text for e in outline.all("pre"))


def test_regression_has_no_learning_rule(regression: Path, page_of: Page) -> None:
    captions = " ".join(e.text for e in Outline.of(page_of(regression)).all("figcaption"))
    assert "Gradient" in captions and "what the prediction is above the target" in captions
    assert "Learning rule" not in captions


@pytest.mark.parametrize("kind", ["interrupted", "empty"])
def test_a_search_that_has_not_ended_says_so(kind: str, request: pytest.FixtureRequest, page_of: Page) -> None:
    outline = Outline.of(page_of(request.getfixturevalue(kind)))
    said = outline.all("body")[0].text
    assert "was interrupted while searching" in said and "nothing has been measured on test data" in said
    assert bool(outline.all("figure")) == (kind == "interrupted")


def test_a_search_that_runs_is_read_beside_it(interrupted: Path) -> None:
    with Study.open(interrupted) as study, Records.open(interrupted) as records:
        study.take()
        assert "is running: searching" in page(records, "there")


def test_what_a_stranger_wrote_is_text(hostile: Path, page_of: Page) -> None:
    """Whole and closed, see above; and all of it is there to be read."""
    said = Outline.of(page_of(hostile)).all("body")[0].text
    shown = EVIL.replace("\u202e", "<U+202E>").replace("\x07", "<U+0007>")
    assert said.count(shown.replace("\udc80", "<U+DC80>")) > 3  # names, texts and versions
    assert said.count(shown.replace("\udc80", "")) > 3  # configuration and proposals
    assert "49" not in said.replace("#49", "") or "{{ 7*7 }}" in said
    assert not {"\u202e", "\x07"} & set(said)


def test_the_same_study_gives_the_same_page(ended: Path, page_of: Page) -> None:
    """The search has left one, made by a process that had done other things."""
    left = (ended / "report.html").read_text(encoding="utf-8")
    assert left.replace(str(ended / "study.sqlite3"), "DIR/study.sqlite3") == page_of(ended)
    assert not list(ended.glob("*.part"))


@pytest.mark.parametrize("package", ["matplotlib", "jinja2", "latex2mathml"])
def test_what_is_missing_is_said(package: str, ended: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in sys.modules if n.partition(".")[0] == package]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, package, None)
    with Records.open(ended) as records, pytest.raises(GloError, match="is missing") as raised:
        write_report(records, ended, tmp_path / "page.html")
    assert raised.value.hint == "pip install 'glo-dsl[search]'" and not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written_is_said(empty: Path, tmp_path: Path) -> None:
    with Records.open(empty) as records, pytest.raises(GloError, match="cannot be written"):
        write_report(records, empty, tmp_path / "nowhere" / "page.html")
