from __future__ import annotations

import pytest

from glo_dsl.evolve.compare import Grid, Result
from glo_dsl.evolve.config import Config
from glo_dsl.evolve.progress import SEARCHING, Agreement, Generation, Progress
from glo_dsl.evolve.verify import Entry, Outcome
from glo_dsl.evolve.writers.figures import figures_of, result_of, settings_of
from glo_dsl.lang.definitions import losses_of

(LOSS,) = losses_of("loss f(z: real[C], t: class[C]) = -log_softmax(z)[t]").values()


def outcome(*accuracies: tuple[float, ...]) -> Outcome:
    """Of a baseline and losses that reached so much with each seed."""
    grid = Grid((0.1, 0.2, 0.4), (0.5, 0.6, 0.5))
    first, *rest = [Entry(LOSS, 3, Result(f"found{n}", grid, each)) for n, each in enumerate(accuracies)]
    return Outcome(first, tuple(rest), 100, 160, ())


def test_of_a_generation() -> None:
    counts = (("trained", 10), ("no gradient", 30))
    step = Progress(
        SEARCHING, 1, 2, best=0.9, counts=counts, untrained=30, generation=Generation(3, 0.7),
        agreement=Agreement(0.25, 8),
    )  # fmt: skip
    assert figures_of(step, 12.5) == {
        "best": 0.9, "median": 0.7, "trainings_per_second": 12.5, "never_trained": 0.75, "rung_correlation": 0.25
    }  # fmt: skip


def test_what_is_not_known_is_left_out() -> None:
    assert figures_of(Progress(SEARCHING, 1, 2, generation=Generation(0, None)), None) == {}


def test_of_the_finalists() -> None:
    found = result_of(outcome((0.8, 0.9), (0.95, 0.97), (0.4, 0.6)))
    assert found["test/found0/mean"] == pytest.approx(0.85)
    assert found["test/found0/standard_error"] == pytest.approx(0.05) and "test/found0/welch_p" not in found
    assert 0 < found["test/found1/welch_p"] < 1 and found["test/found2/mean"] == 0.5


def test_where_nothing_varies_nothing_is_shown() -> None:
    assert result_of(outcome((0.5, 0.5), (0.5, 0.5)))["test/found1/welch_p"] == 1.0


def test_settings_by_their_names() -> None:
    config = Config("loss f(p: real, y: real) = ?f(p, y)", "f", strategy_options={"population": 12}, steps=None)
    found = settings_of(config)
    assert found["strategy_options.population"] == "12" and found["loss"] == "f" and found["steps"] == "null"
    assert found["rungs"] == "[0.25, 1.0]" and "space" not in found
