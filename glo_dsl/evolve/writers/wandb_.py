"""Weights & Biases: a folder that `wandb sync` sends, or at once where the user has logged in."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

PROJECT = "glo"
"""Where runs are put, unless WANDB_PROJECT says otherwise."""

TRAININGS = "trainings"


class WeightsAndBiases:
    """A run; offline, each process that goes on with it leaves a folder of its own under the same name."""

    def __init__(self, directory: Path, run: str | None) -> None:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # nothing leaves this machine unasked
        import wandb

        quiet = wandb.Settings(console="off", silent=True)  # standard output is the search's
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT), name=directory.resolve().name, dir=str(directory),
            id=run or secrets.token_hex(4), resume="allow", mode=_mode(), settings=quiet, reinit="create_new",
        )  # fmt: skip
        self.run: str = self._run.id
        self._run.define_metric(TRAININGS)
        self._run.define_metric("*", step_metric=TRAININGS)

    def parameters(self, settings: Mapping[str, str]) -> None:
        self._run.config.update(dict(settings), allow_val_change=True)

    def figures(self, at: int, figures: Mapping[str, float]) -> None:
        self._run.log({**figures, TRAININGS: at})

    def text(self, name: str, text: str) -> None:
        path = Path(self._run.dir) / name  # not an artifact, which offline waits outside of the study's directory
        path.write_text(text, encoding="utf-8")
        self._run.save(str(path), base_path=self._run.dir, policy="now")

    def close(self, finished: bool) -> None:
        self._run.finish(exit_code=0 if finished else 1)


def _mode() -> str | None:
    """None: what WANDB_MODE or the user's settings say. Nobody is asked for a login."""
    import wandb

    if "WANDB_MODE" in os.environ or wandb.login(prompt=False, verify=False):
        return None
    return "offline"
