"""TensorBoard: event files in the directory of the study, read by `tensorboard --logdir`."""

from __future__ import annotations

import io
import os
import socket
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


class TensorBoard:
    """A run is a directory: its event files, of which each process begins one, are read as one.

    PyTorch's SummaryWriter writes by a thread that prints a traceback and ends where the disk is full; so what it makes
    of figures is written here.
    """

    run = "tensorboard"

    def __init__(self, directory: Path, run: str | None) -> None:
        self._place = directory / self.run
        self._place.mkdir(parents=True, exist_ok=True)
        self._path: Path | None = None
        self._files = 0

    def parameters(self, settings: Mapping[str, str]) -> None:
        from torch.utils.tensorboard.summary import hparams

        self._write(0, hparams(dict(settings), {"best": 0.0}))  # type: ignore[no-untyped-call]

    def figures(self, at: int, figures: Mapping[str, float]) -> None:
        from torch.utils.tensorboard.summary import scalar

        made = [scalar(name, value) for name, value in figures.items()]  # type: ignore[no-untyped-call]
        self._write(at, made)

    def text(self, name: str, text: str) -> None:
        from torch.utils.tensorboard.summary import text as summary

        shown = "".join(f"    {line}\n" for line in text.splitlines())  # Markdown for: as it is
        self._write(0, [summary(name, shown)])  # type: ignore[no-untyped-call]

    def close(self, finished: bool) -> None:
        pass  # all is written

    def _write(self, at: int, summaries: Iterable[Any]) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import RecordWriter

        data, now = io.BytesIO(), time.time()
        records = RecordWriter(data)
        path = self._path
        if path is None:
            path = self._place / f"events.out.tfevents.{now:.0f}.{socket.gethostname()}.{os.getpid()}.{self._files}"
            self._files += 1
            records.write(Event(wall_time=now, file_version="brain.Event:2").SerializeToString())
        for summary in summaries:
            records.write(Event(wall_time=now, step=at, summary=summary).SerializeToString())
        self._path = None  # where half a record stands, nothing is read after it: the next goes to another file
        with path.open("ab") as file:
            file.write(data.getvalue())
        self._path = path
