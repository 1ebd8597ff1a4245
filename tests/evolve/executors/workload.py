"""An evaluator whose units do what their payload says; worker processes import it from here."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

ENVIRONMENT = dict(os.environ)


class Stubborn(Exception):
    """Cannot be pickled, nor shown."""

    def __init__(self, one: object, two: object) -> None:
        super().__init__(lambda: one)

    def __str__(self) -> str:
        raise RuntimeError("no text")


class Torn:
    """Is pickled, and cannot be read back."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _tear, ()


def _tear() -> None:
    raise ValueError("torn")


class Workload:
    """`{"do": what, "value": any, "mark": path}`; every attempt leaves a file in the folder `mark`."""

    def __init__(self) -> None:
        self.attempts = 0

    def evaluate(self, payload: dict[str, Any]) -> Any:
        self.attempts += 1
        tried = _marked(payload.get("mark"))
        value = payload.get("value")
        match payload["do"]:
            case "value":
                return value
            case "nap":
                time.sleep(0.02)
                return value
            case "raise":
                raise ValueError(value)
            case "raise what cannot travel":
                raise Stubborn(1, 2)
            case "exit":
                sys.exit(3)
            case "leave":
                os._exit(0)
            case "die":
                os.kill(os.getpid(), signal.SIGKILL)
            case "die at first":
                if tried == 1:
                    os.kill(os.getpid(), signal.SIGKILL)
                return value
            case "until":
                while not os.path.exists(value):
                    time.sleep(0.01)
            case "hang":
                time.sleep(1000)
            case "spin":
                while True:
                    pass
            case "what cannot travel":
                return lambda: value
            case "what cannot be read":
                return Torn()
            case "who":
                return os.getpid(), threading.get_ident(), self.attempts
            case "surroundings":
                return ENVIRONMENT
            case "sum":
                import torch

                generator = torch.Generator().manual_seed(value)
                return torch.randn(200_000, generator=generator).exp().sum().item()
            case "threads":
                import torch

                tiny = torch.tensor([1e-40]) * 1
                return torch.get_num_threads(), float(tiny)
        return None


def _marked(folder: str | None) -> int:
    """How many attempts there were, with this one."""
    if folder is None:
        return 0
    Path(folder).mkdir(exist_ok=True)
    Path(folder, f"{time.monotonic_ns()}-{os.getpid()}").touch()
    return len(os.listdir(folder))


def with_torch() -> Workload:
    """As those who train do."""
    import torch  # noqa: F401

    return Workload()


def slowly(seconds: float) -> Workload:
    """Its data take a while to load."""
    time.sleep(seconds)
    return Workload()


def failing(message: str) -> Workload:
    """Has no data."""
    raise FileNotFoundError(message)


def dying() -> Workload:
    """Crashes before it has its data."""
    os.kill(os.getpid(), signal.SIGKILL)
    return Workload()
