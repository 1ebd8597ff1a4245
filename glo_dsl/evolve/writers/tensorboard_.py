"""TensorBoard: event files in the directory of the study, read by `tensorboard --logdir`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


class TensorBoard:
    """A run is a directory: its event files, of which each process begins one, are read as one."""

    run = "tensorboard"

    def __init__(self, directory: Path, run: str | None) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._events = SummaryWriter(str(directory / self.run))

    def parameters(self, settings: Mapping[str, str]) -> None:
        from torch.utils.tensorboard.summary import hparams

        file: Any = self._events.file_writer
        for summary in hparams(dict(settings), {"best": 0.0}):  # type: ignore[no-untyped-call]
            file.add_summary(summary)  # not add_hparams, which begins a run of its own
        self._events.flush()

    def figures(self, at: int, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            self._events.add_scalar(name, value, at)
        self._events.flush()

    def text(self, name: str, text: str) -> None:
        self._events.add_text(name, "".join(f"    {line}\n" for line in text.splitlines()))  # Markdown for: as it is
        self._events.flush()

    def close(self, finished: bool) -> None:
        self._events.close()
