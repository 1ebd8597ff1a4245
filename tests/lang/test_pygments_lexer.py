"""The lexer of Pygments: found, complete, and without a word it does not know."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pygments.lexers import get_lexer_by_name, get_lexer_for_filename
from pygments.token import Comment, Error, Keyword, Name, Number, Operator

from glo_dsl.lang.highlight import SCOPES
from glo_dsl.lang.pygments_lexer import TOKENS, GloLexer
from tests.lang.files import files, tokens_of

ROOT = Path(__file__).parents[2]
FILES = sorted([*ROOT.glob("examples/*.glo"), *ROOT.glob("grammar/*.glo"), *ROOT.glob("glo_dsl/zoo/*.glo")])


def test_it_is_found_by_name_and_by_file() -> None:
    assert type(get_lexer_for_filename("x.glo")) is type(get_lexer_by_name("glo")) is GloLexer


def test_looking_for_a_lexer_makes_no_rules() -> None:
    """Pygments imports every lexer that is installed when it looks for one."""
    code = "import sys, glo_dsl.lang.pygments_lexer; print('glo_dsl.lang.highlight' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_every_kind_has_its_token() -> None:
    assert set(TOKENS) == set(SCOPES)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_files_of_the_project(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    found = list(GloLexer(stripnl=False).get_tokens(text))
    assert "".join(piece for _, piece in found) == text
    assert not [piece for kind, piece in found if kind is Error]


@settings(max_examples=settings().max_examples // 2)
@given(files(2))
def test_tokens_are_those_of_the_parser(text: str) -> None:
    found = [(kind, piece) for _, kind, piece in GloLexer().get_tokens_unprocessed(text)]
    assert "".join(piece for _, piece in found) == text
    assert not [piece for kind, piece in found if kind is Error]
    assert [piece for kind, piece in found if piece.strip() and kind not in Comment] == tokens_of(text)


@given(st.text(max_size=40))
def test_any_text_comes_back(text: str) -> None:
    assert "".join(piece for _, _, piece in GloLexer().get_tokens_unprocessed(text)) == text


def test_tokens_of_a_loss() -> None:
    found = {piece: kind for kind, piece in GloLexer().get_tokens("loss\n f(z: real[C]) = -softmax(z) + 1e-3 ^ ?h(z)")}
    expected = {
        "loss": Keyword.Declaration, "f": Name.Function, "real": Keyword.Type, "C": Keyword.Constant, "-": Operator,
        "softmax": Name.Builtin, "1e-3": Number, "h": Name.Variable, "z": Name,
    }  # fmt: skip
    assert {piece: found[piece] for piece in expected} == expected
    assert [kind for kind, piece in GloLexer().get_tokens("x ! y") if piece == "!"] == [Error]
