"""The worker's side of every executor."""

from __future__ import annotations

import pickle
import sys
import traceback
from dataclasses import dataclass

from glo_dsl.errors import GloError
from glo_dsl.evolve.executors.executor import Evaluator, Factory

ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""The environment of a worker process. It counts only if it is there before torch is imported."""


@dataclass(frozen=True)
class Trouble:
    """An exception as text: exceptions of users need not survive a pickle."""

    failure: str
    details: str

    @classmethod
    def of(cls, error: BaseException) -> Trouble:
        """Of an exception that is being handled, whose `str` may itself raise."""
        try:
            message = str(error)
        except Exception:
            message = ""
        if not isinstance(error, GloError):
            message = ": ".join(filter(None, (type(error).__name__, message)))
        return cls(message, traceback.format_exc())


@dataclass(frozen=True)
class Prepared:
    """That a worker has its evaluator; or why it has none."""

    trouble: Trouble | None = None


class Worker:
    """Makes its evaluator once, then attempts units. Either says what went wrong and raises nothing."""

    _evaluator: Evaluator | None = None

    def prepare(self, factory: Factory | bytes) -> Prepared:
        """Makes the evaluator, by a factory or its pickle."""
        try:
            self._evaluator = (pickle.loads(factory) if isinstance(factory, bytes) else factory)()
            one_thread()
        except BaseException as error:  # SystemExit too: the driver has to hear of it
            return Prepared(Trouble.of(error))
        return Prepared()

    def run(self, payload: bytes) -> bytes | Trouble:
        """The result of a unit, both as pickles."""
        assert self._evaluator is not None
        try:
            result = self._evaluator.evaluate(pickle.loads(payload))
        except BaseException as error:
            return Trouble.of(error)
        try:
            return pickle.dumps(result)
        except BaseException as error:
            why = Trouble.of(error)
            return Trouble(f"the result, {type(result).__name__}, cannot be pickled: {why.failure}", why.details)

    @property
    def stops(self) -> bool:
        """Whether the evaluator can end the unit that runs."""
        return hasattr(self._evaluator, "stop")

    def stop(self) -> None:
        """Asks it to, if it can; called by another thread."""
        if self._evaluator is not None and self.stops:
            self._evaluator.stop()  # type: ignore[attr-defined]


def one_thread() -> None:
    """One thread for this worker, so that results do not depend on how many there are; tiny numbers become 0.

    Numbers below the normal range stall the processor. Both hold for the calling thread, and only if what makes the
    evaluator has imported torch: those who do without it are spared the seconds.
    """
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(1)
        torch.set_flush_denormal(True)
