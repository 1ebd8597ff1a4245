"""`glo zoo`, run as a user runs it."""

from __future__ import annotations

import glo_dsl as glo
from tests.cli.conftest import Run


def shown(run: Run, *words: str) -> str:
    done = run("glo", "zoo", *words)
    assert done.returncode == 0
    return done.stdout.decode()


def refused(run: Run, *words: str) -> str:
    done = run("glo", "zoo", *words)
    assert done.returncode == 1
    return done.stderr.decode()


def test_it_lists_every_loss_with_its_family(run: Run) -> None:
    listed = shown(run)
    assert f"{len(glo.zoo)} losses" in listed
    for name in glo.zoo:
        assert f" {name} " in listed
    assert "regression" in listed and "Huber" in listed


def test_it_searches_names_families_and_documentation(run: Run) -> None:
    found = shown(run, "--search", "label smoothing")
    assert "smoothed_cross_entropy" in found and "huber" not in found
    assert " huber " in shown(run, "--family", "regression")


def test_what_it_shows_is_a_file_that_can_be_used(run: Run) -> None:
    text = shown(run, "huber", "focal")
    assert "law huber.symmetric" in text and "example huber" in text
    assert glo.loads("import std\n" + text).keys() == {"huber", "focal"}


def test_every_loss_is_shown_with_all_that_it_needs() -> None:
    from glo_dsl.cli.zoo import _shown

    for name in glo.zoo:
        (loss,) = glo.loads("import std\n" + _shown(glo.zoo, name)).values()
        assert loss.expr is glo.zoo[name].expr
        assert len(loss.laws) == len(glo.zoo[name].laws) > 0 and loss.examples


def test_mistyped_names_get_a_hint_and_exit_code_1(run: Run) -> None:
    assert "did you mean focal?" in refused(run, "fokal")
    assert "did you mean regression?" in refused(run, "--family", "regresion")
    assert "glo zoo lists them all" in refused(run, "--search", "quantum chromodynamics")
