"""Tasks of one's own, in files and in modules, right and wrong in every way that has a message."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import glo_dsl as glo
from glo_dsl.evolve.tasks.own import factory_named

GOOD = """
from dataclasses import dataclass

@dataclass
class Made:
    seed: int

def mine(seed=0):
    return Made(seed)
"""


@pytest.fixture(autouse=True)
def nothing_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    path = list(sys.path)
    yield
    assert sys.path == path
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def said(name: str) -> tuple[str, str]:
    with pytest.raises(glo.GloError) as error:
        factory_named(name)()
    return error.value.message, error.value.hint or ""


def test_a_function_in_a_file_is_found_and_called(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "own.py").write_text(GOOD)
    for place in ("deep/own.py", str(tmp_path / "deep" / "own.py")):
        made = factory_named(f"{place}:mine")(seed=3)
        assert vars(made) == {"seed": 3}


def test_a_function_in_a_module_of_the_current_folder_is_found(tmp_path: Path) -> None:
    (tmp_path / "a_package_of_mine").mkdir()
    (tmp_path / "a_package_of_mine" / "own.py").write_text(GOOD)
    assert vars(factory_named("a_package_of_mine.own:mine")()) == {"seed": 0}


def test_a_file_finds_what_lies_beside_it_even_when_it_is_called(tmp_path: Path) -> None:
    (tmp_path / "beside_it.py").write_text("value = 7")
    (tmp_path / "also_beside_it.py").write_text("value = 8")
    text = (
        "from beside_it import value\ndef mine():\n    import also_beside_it\n    return value, also_beside_it.value\n"
    )
    (tmp_path / "own.py").write_text(text)
    assert factory_named(f"{tmp_path}/own.py:mine")() == (7, 8)


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    for number in ("12", "345"):
        (tmp_path / "own.py").write_text(f"def mine(): return {number}")
        assert factory_named("own.py:mine")() == int(number)


@pytest.mark.parametrize("name", [":mine", "own.py:", ":"])
def test_half_a_name(name: str) -> None:
    assert said(name) == (f"{name} names no task", "module:factory, or path/to/file.py:factory")


def test_no_such_file_or_module(tmp_path: Path) -> None:
    assert said("own.py:mine")[0] == f"no file {tmp_path / 'own.py'}"
    assert said("no_such_module:mine") == (
        "no module no_such_module", f"looked for in {tmp_path} and where Python looks",
    )  # fmt: skip
    assert said("json.no_such_module:mine")[0] == "no module json.no_such_module"
    assert said("no_such_package.inside:mine")[0] == "no module no_such_package"


def test_no_such_function(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(GOOD + "\nnumber = 3\n")
    assert said("own.py:mime") == ("own.py has no mime", "did you mean mine?")
    assert said("own.py:zzz") == ("own.py has no zzz", "it has Made, mine")
    assert said("own.py:number")[0] == "own.py:number is of type int"


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("import glo_dsl\n\nx = 1 / 0", "ZeroDivisionError: division by zero", "line 3: x = 1 / 0"),
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'", "line 1: import no_such"),
        ("def mine(:\n    pass", "SyntaxError: invalid syntax", "line 1"),
        ("import sys\nsys.exit('usage: none')", "SystemExit: usage: none", "line 2: sys.exit"),
    ],
)
@pytest.mark.parametrize("place", ["broken_one.py", "broken_one"])
def test_a_module_that_fails(text: str, message: str, line: str, place: str, tmp_path: Path) -> None:
    (tmp_path / "broken_one.py").write_text(text)
    found, hint = said(f"{place}:mine")
    assert found == f"cannot {'run' if place.endswith('.py') else 'import'} {place}: {message}"
    assert f"{tmp_path / 'broken_one.py'}, {line}" in hint


def test_a_function_that_fails_is_quoted_at_its_own_last_line(tmp_path: Path) -> None:
    text = "import json\n\ndef mine():\n    return read()\n\ndef read():\n    return json.loads('{')\n"
    (tmp_path / "own.py").write_text(text)
    message, hint = said("own.py:mine")
    assert message.startswith("own.py:mine failed: json.decoder.JSONDecodeError: Expecting property name")
    assert hint == f"raised at {tmp_path / 'own.py'}, line 7: return json.loads('{{')"


def test_a_function_that_needs_more_than_is_given(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("def mine(path):\n    return path\n")
    message, hint = said("own.py:mine")
    assert "missing 1 required positional argument: 'path'" in message and hint == ""


def test_errors_of_ours_stay_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "import glo_dsl\ndef mine():\n    raise glo_dsl.GloError('no data', hint='get some')"
    )
    assert said("own.py:mine") == ("no data", "get some")
