"""Imports: what they bring, where they lead, and where they never lead."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import glo_dsl as glo
from glo_dsl.errors import Diagnostic
from glo_dsl.lang.definitions import Module, check
from glo_dsl.lang.imports import prelude
from glo_dsl.lang.show import show
from glo_dsl.lang.syntax import parse_file
from glo_dsl.lang.zoo_files import zoo_index


def read(folder: Path, text: str, name: str = "main.glo") -> Module:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return check(text, name, path)


def complaint(folder: Path, text: str, name: str = "main.glo") -> Diagnostic:
    (error,) = read(folder, text, name).errors
    return error


def test_functions_and_losses_of_a_file_are_known(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "parts.glo").write_text("def twice(x) = 2 * x loss sq(x: real; k = 3) = k * twice(x * x)")
    module = read(tmp_path, 'import "lib/parts.glo" loss f(x: real) = twice(x) + sq(x; k = 5)')
    assert show(module.losses["f"].expr) == "2 * x + 5 * (2 * (x * x))"
    assert glo.load(tmp_path / "main.glo").keys() == {"f"}


def test_imports_of_imports_are_read_but_not_passed_on(tmp_path: Path) -> None:
    (tmp_path / "c.glo").write_text("def deep(x) = x + 3")
    (tmp_path / "b.glo").write_text('import "c.glo" def middle(x) = deep(x)')
    assert not read(tmp_path, 'import "b.glo" loss f(x: real) = middle(x) * x').errors
    assert complaint(tmp_path, 'import "b.glo" loss f(x: real) = deep(x) * x').code == "unknown-function"


def test_files_that_import_each_other_are_fine(tmp_path: Path) -> None:
    (tmp_path / "b.glo").write_text('import "main.glo" def b(x) = x * x')
    assert not read(tmp_path, 'import "b.glo" import "b.glo" loss f(x: real) = b(x)').errors


def test_a_body_means_what_it_means_in_its_own_file(tmp_path: Path) -> None:
    (tmp_path / "b.glo").write_text("def unit(x) = 1 def b(x) = unit(x) + x * x")
    module = read(tmp_path, 'import "b.glo" def unit(x) = 100 loss f(x: real) = b(x) + unit(x)')
    assert show(module.losses["f"].expr) == "1 + x * x + 100"


@pytest.mark.parametrize(
    "name", ["../secret.glo", "sub/../../secret.glo", "/etc/secret.glo", "link.glo", "sub/link.glo"]
)
def test_no_path_and_no_link_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.glo").write_text("def secret(x) = x")
    folder = tmp_path / "project"
    (folder / "sub").mkdir(parents=True)
    (folder / "link.glo").symlink_to(tmp_path / "secret.glo")
    (folder / "sub" / "link.glo").symlink_to("../../secret.glo")
    assert complaint(folder, f'import "{name}"').code == "import-outside"


def test_a_file_in_a_sub_folder_may_look_up_to_the_folder_of_the_first_file(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "top.glo").write_text("def top(x) = x * x")
    (tmp_path / "sub" / "low.glo").write_text('import "../top.glo" def low(x) = top(x)')
    assert not read(tmp_path, 'import "sub/low.glo" loss f(x: real) = low(x)').errors
    assert complaint(tmp_path, 'import "../top.glo" loss f(x: real) = x * x', "sub/main.glo").code == "import-outside"


def test_what_is_no_ordinary_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.glo")
    (tmp_path / "folder.glo").mkdir()
    (tmp_path / "bytes.glo").write_bytes(b"\xff\xfe")
    for name in ("pipe", "folder", "bytes", "missing"):
        assert complaint(tmp_path, f'import "{name}.glo"').code == "import-unreadable", name


@pytest.mark.parametrize("name", ["a\0.glo", "\ud800.glo", "x" * 5000 + ".glo", "loop.glo"])
def test_names_that_no_file_can_have_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "loop.glo").symlink_to(tmp_path / "loop.glo")
    (error,) = check(f'import "{name}"', "main.glo", tmp_path / "main.glo").errors
    assert error.code == "import-unreadable"


def test_a_file_that_is_too_long_is_not_read_whole(tmp_path: Path) -> None:
    (tmp_path / "long.glo").write_text("#" * 5_000_000)
    assert complaint(tmp_path, 'import "long.glo"').code == "import-broken"


def test_an_error_in_an_imported_file_is_said_at_the_import(tmp_path: Path) -> None:
    (tmp_path / "b.glo").write_text("def fine(x) = x * x\ndef broken(x) = (x\ndef also(x) = x")
    error = complaint(tmp_path, 'import "b.glo"\nloss f(x: real) = fine(x) + broken(x)')
    assert error.code == "import-broken" and error.span is not None and error.span.line == 1
    assert "b.glo has an error in line 2" in error.message


def test_a_wrong_type_inside_an_imported_function_is_said_at_the_call(tmp_path: Path) -> None:
    (tmp_path / "b.glo").write_text("def total(x) = sum(x)")
    error = complaint(tmp_path, 'import "b.glo"\nloss f(x: real) =\n  total(x)')
    assert error.message.startswith("in total: ") and error.span is not None and error.span.line == 3


def test_a_near_name_is_offered(tmp_path: Path) -> None:
    (tmp_path / "focal.glo").write_text("")
    assert complaint(tmp_path, 'import "focall.glo"').hint == "did you mean focal.glo?"


def test_the_prelude_is_right_and_its_names_are_its_own() -> None:
    unit = prelude()
    assert not parse_file(unit.source).errors
    assert not check(unit.source.text).diagnostics
    assert not unit.functions.keys() & zoo_index().keys()
