"""Colours: the words of every kind, the TextMate grammar of editors, and that its folder is a whole."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from glo_dsl.ir.table import FUNCTIONS
from glo_dsl.lang.concrete import comments
from glo_dsl.lang.highlight import SCOPES, rules, textmate, words
from glo_dsl.lang.syntax import KEYWORDS
from tests.lang.files import files, tokens_of

ROOT = Path(__file__).parents[2]
EDITORS = ROOT / "grammar" / "editors"
GRAMMARS = [EDITORS / "glo.tmLanguage.json", EDITORS / "vscode" / "glo.tmLanguage.json"]


@pytest.mark.parametrize("path", GRAMMARS, ids=lambda path: path.parent.name)
def test_the_grammar_of_editors_is_the_one_made_here(path: Path, request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--update-golden"):
        path.write_text(textmate(), encoding="utf-8")
    assert path.read_text(encoding="utf-8") == textmate(), "run pytest --update-golden"


def scopes(text: str) -> list[tuple[str, str]]:
    """What an editor sees: the pieces of a text with their scopes, without `.glo`.

    The part of a TextMate engine that a grammar of single matches needs: line by line, the earliest match wins, among
    those at one place the first rule. Python's `re` reads the expressions as editors do: they hold nothing but
    classes, groups, alternatives and looking ahead.
    """
    patterns = [(re.compile(p["match"]), p) for p in json.loads(GRAMMARS[0].read_text(encoding="utf-8"))["patterns"]]
    return [piece for line in text.split("\n") for piece in _pieces(line + "\n", patterns)]


def _pieces(line: str, patterns: list[tuple[re.Pattern[str], dict[str, Any]]]) -> Iterator[tuple[str, str]]:
    place = 0
    while found := [(m.start(), n, m) for n, (regex, _) in enumerate(patterns) if (m := regex.search(line, place))]:
        start, number, match = min(found, key=lambda one: one[:2])
        yield from [(line[place:start], "")] if start > place else []
        pattern = patterns[number][1]
        if "name" in pattern:
            yield match[0], pattern["name"].removesuffix(".glo")
        else:
            for group, capture in pattern["captures"].items():
                yield from [(match[int(group)], capture["name"].removesuffix(".glo"))] if match[int(group)] else []
        place = match.end()
    yield from [(line[place:], "")] if line[place:].strip() else []


def test_a_loss_in_colours() -> None:
    loss = "loss f(z: shared real[C]; k = 1e-3 in (0, inf]) = let s = softmax(z) in -?h(s)[1] per g(z)"
    text = f'import "a.glo"  # b\n{loss}'
    assert [piece for piece in scopes(text) if piece[0].strip()] == [
        ("import", "storage.type"), ('"a.glo"', "string.quoted.double"), ("# b", "comment.line.number-sign"),
        ("loss", "storage.type"), ("f", "entity.name.function"), ("(", "punctuation.section.brackets"),
        ("z", "variable.other"), (":", "punctuation.separator"), ("shared", "storage.modifier"),
        ("real", "support.type"), ("[", "punctuation.section.brackets"), ("C", "constant.language"),
        ("]", "punctuation.section.brackets"), (";", "punctuation.separator"), ("k", "variable.other"),
        ("=", "keyword.operator"), ("1e-3", "constant.numeric"), ("in", "keyword.control"),
        ("(", "punctuation.section.brackets"), ("0", "constant.numeric"), (",", "punctuation.separator"),
        ("inf", "constant.language"), ("]", "punctuation.section.brackets"), (")", "punctuation.section.brackets"),
        ("=", "keyword.operator"), ("let", "keyword.control"), ("s", "variable.other"), ("=", "keyword.operator"),
        ("softmax", "support.function"), ("(", "punctuation.section.brackets"), ("z", "variable.other"),
        (")", "punctuation.section.brackets"), ("in", "keyword.control"), ("-", "keyword.operator"),
        ("?", "keyword.operator"), ("h", "variable.parameter.hole"), ("(", "punctuation.section.brackets"),
        ("s", "variable.other"), (")", "punctuation.section.brackets"), ("[", "punctuation.section.brackets"),
        ("1", "constant.numeric"), ("]", "punctuation.section.brackets"), ("per", "keyword.control"),
        ("g", "entity.name.function.call"), ("(", "punctuation.section.brackets"), ("z", "variable.other"),
        (")", "punctuation.section.brackets"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("law f.zero: x", ["storage.type", "entity.name.function", "punctuation.separator", "entity.name.tag",
                           "punctuation.separator", "variable.other"]),
        ("example 1 +- 2", ["storage.type", "constant.numeric", "keyword.operator", "constant.numeric"]),
        ("1+-2", ["constant.numeric", "keyword.operator", "keyword.operator", "constant.numeric"]),
        ("a<=b", ["variable.other", "keyword.operator", "variable.other"]),
        ("not z1", ["keyword.operator.logical", "variable.other"]),
        ("inside lossy real max", ["variable.other"] * 4),
        ("max (", ["support.function", "punctuation.section.brackets"]),
        ("x: realistic", ["variable.other", "punctuation.separator", "variable.other"]),
        ("x: sharedreal", ["variable.other", "punctuation.separator", "variable.other"]),
        ("x = .5e+3", ["variable.other", "keyword.operator", "constant.numeric"]),
        ("2in[0", ["constant.numeric", "keyword.control", "punctuation.section.brackets", "constant.numeric"]),
        ("loss", ["storage.type"]), ("def", ["storage.type"]), ("?", ["keyword.operator"]),
        ("# let # 1", ["comment.line.number-sign"]),
        ('"# a" # "b"', ["string.quoted.double", "comment.line.number-sign"]),
    ],
)  # fmt: skip
def test_colours_of_single_lines(text: str, expected: list[str]) -> None:
    assert [scope for piece, scope in scopes(text) if piece.strip()] == expected


@settings(max_examples=settings().max_examples // 2)
@given(files(2))
def test_editors_see_the_tokens_of_the_parser(text: str) -> None:
    pieces = scopes(text)
    assert (
        "".join(piece for piece, _ in pieces if piece.strip()).split()
        == "".join(piece for piece, scope in pieces if scope and piece.strip()).split()
    ), "something but blanks has no colour"
    found = [piece for piece, scope in pieces if scope and not scope.startswith("comment")]
    assert found == tokens_of(text)
    assert [piece.rstrip() for piece, scope in pieces if scope.startswith("comment")] == [
        c.text for c in comments(text)
    ]


def test_every_word_has_one_kind() -> None:
    known = [word for group in words().values() for word in group]
    assert len(set(known)) == len(known) and set(KEYWORDS) <= set(known)
    assert set(FUNCTIONS) <= set(words()["function"])
    assert all(set(rule.kinds) <= set(SCOPES) for rule in rules())
    assert all(len(rule.kinds) in (1, re.compile(rule.match).groups) for rule in rules())


def test_the_extension_is_a_whole() -> None:
    folder = EDITORS / "vscode"
    package = json.loads((folder / "package.json").read_text(encoding="utf-8"))
    contributed = package["contributes"]
    (language,), (grammar,) = contributed["languages"], contributed["grammars"]
    named = [package["main"], language["configuration"], grammar["path"]]
    assert all((folder / name).is_file() for name in named)
    assert language["id"] == grammar["language"] and grammar["scopeName"] == json.loads(textmate())["scopeName"]
    assert language["extensions"] == [f".{name}" for name in json.loads(textmate())["fileTypes"]]
    script = (folder / package["main"]).read_text(encoding="utf-8")
    required = set(re.findall(r'require\("([^"/]+)', script))
    assert required == {"vscode", *package["dependencies"]}
    for section, name in re.findall(r'getConfiguration\("(\w+)"\)\.get\("(\w+)"\)', script):
        assert f"{section}.{name}" in contributed["configuration"]["properties"]


def test_indentation_and_words_of_the_extension() -> None:
    found = json.loads((EDITORS / "vscode" / "language-configuration.json").read_text(encoding="utf-8"))
    more, less = (re.compile(found["indentationRules"][f"{way}IndentPattern"]) for way in ("increase", "decrease"))
    assert all(more.search(line) for line in ("loss f(x: real) =", "law f.a:  # why", "  -sum(", "  ["))
    assert not any(more.search(line) for line in ("  x", "# so =", "def f(x) = x", "  let a = x in"))
    assert less.search("  )") and not less.search("  x)")
    assert re.fullmatch(found["wordPattern"], "log_softmax") and found["comments"] == {"lineComment": "#"}
