"""What loggers have kept, read by their own means."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Found:
    """Of one run: series of (trainings, value) by name, settings, files, and how it ended where that is kept."""

    figures: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    status: str = ""

    def add(self, name: str, at: int, value: float) -> None:
        self.figures.setdefault(name, []).append((at, float(f"{value:.6g}")))


def tensorboard(directory: Path, run: str) -> Found:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    events = EventAccumulator(str(directory / run), size_guidance={"tensors": 0, "scalars": 0}).Reload()
    found = Found()
    for name in events.Tags()["scalars"]:
        for event in events.Scalars(name):
            found.add(name, event.step, event.value)
    for name in events.Tags()["tensors"]:
        text = b"".join(events.Tensors(name)[-1].tensor_proto.string_val).decode()
        found.texts[name.removesuffix("/text_summary")] = "".join(line[4:] + "\n" for line in text.splitlines())
    data = HParamsPluginData.FromString(events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content)
    found.parameters = {name: value.string_value for name, value in data.session_start_info.hparams.items()}
    return found


def mlflow(directory: Path, run: str) -> Found:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{directory / 'mlruns' / 'mlflow.db'}")
    kept = client.get_run(run)
    found = Found(parameters=dict(kept.data.params), status=kept.info.status)
    for name in kept.data.metrics:
        for metric in client.get_metric_history(run, name):
            found.add(name, metric.step, metric.value)
    for file in client.list_artifacts(run):
        found.texts[file.path] = Path(client.download_artifacts(run, file.path)).read_text(encoding="utf-8")
    return found


def wandb(directory: Path, run: str) -> Found:
    """The folders of a run that was offline, as `wandb sync` goes over them."""
    import json

    from wandb.proto.wandb_internal_pb2 import Record

    found = Found()
    for file in sorted(directory.glob(f"wandb/offline-run-*-{run}/run-{run}.wandb")):
        for data in _records(file.read_bytes()):
            record = Record.FromString(data)
            kind = record.WhichOneof("record_type")
            if kind == "history":
                row = {(item.key or item.nested_key[0]): json.loads(item.value_json) for item in record.history.item}
                for name, value in row.items():
                    if name != "trainings" and not name.startswith("_"):
                        found.add(name, row["trainings"], value)
            if kind == "config":
                found.parameters |= {
                    item.key: json.loads(item.value_json) for item in record.config.update if item.key != "_wandb"
                }
            if kind == "exit":
                found.status = str(record.exit.exit_code)
            if kind == "files":
                for each in record.files.files:
                    path = file.parent / "files" / each.path
                    if path.suffix == ".glo":
                        found.texts[each.path] = path.read_text(encoding="utf-8")
    return found


def _records(data: bytes) -> Iterator[bytes]:
    """Of a log as LevelDB has it: blocks of 32 KiB, in which each part has a checksum, a length and a kind."""
    place, parts = 7, b""
    while place + 7 <= len(data):
        if 32768 - place % 32768 < 7:
            place += 32768 - place % 32768
            continue
        length, kind = struct.unpack_from("<HB", data, place + 4)
        parts += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield parts
            parts = b""
