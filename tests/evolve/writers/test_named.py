from __future__ import annotations

import pytest

from glo_dsl.errors import GloError
from glo_dsl.evolve.writers import named
from glo_dsl.evolve.writers.named import OPENINGS, check


def test_what_is_not_installed_is_said_with_the_way_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(named, "find_spec", lambda _: None)
    for name in OPENINGS:
        with pytest.raises(GloError, match=f"the logger {name} needs {name}") as caught:
            check([name])
        assert f"pip install 'glo-dsl[{name}]'" in str(caught.value)
    check([])


def test_a_local_store_of_mlflow_needs_a_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(named, "find_spec", lambda module: None if module == "sqlalchemy" else object())
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(GloError, match="the logger mlflow needs sqlalchemy"):
        check(["mlflow"])
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://localhost:1")
    check(["mlflow"])
