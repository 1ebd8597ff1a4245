"""Work that is the same in every step, recorded once: a GPU that trains small networks waits for the host to launch."""

from __future__ import annotations

from collections.abc import Callable

import torch

Work = Callable[[], None]

GRAPHS = ("cuda",)
"""Kinds of devices that have graphs."""

WARM = 3
"""Steps that are done as they stand before one is recorded: kernels are built then, and the optimiser has its state."""


class Recorded:
    """One work on tensors that stay where they are: on a GPU, after some steps, one launch of a CUDA graph each.

    The work is handed over with every call rather than kept, for it mostly belongs to who keeps this. What changes from
    step to step must be in those tensors: a number would be recorded as it was. What cannot be recorded, such as a
    layer that asks the device for a number, is done as it stands.

    Attributes:
        why_not: why it is not recorded; empty as long as nothing stands against it.
    """

    def __init__(self, device: torch.device, why_not: str = "") -> None:
        self._device = device
        self.why_not = why_not or ("" if device.type in GRAPHS else f"{device.type} has no graphs")
        self._replay: Work | None = None
        self._done = 0

    def __call__(self, work: Work) -> None:
        """Does the work, the same in all calls, once."""
        if self._replay is None and self._done == WARM and not self.why_not:
            self._record(work)
        (self._replay or work)()
        self._done += 1

    def _record(self, work: Work) -> None:
        try:
            self._replay = replay_of(work, self._device)
        except RuntimeError as error:  # nothing has been done: what is recorded is not carried out
            self.why_not = str(error).strip().splitlines()[0][:200]


def replay_of(work: Work, device: torch.device) -> Work:
    """Starts a recording of `work`, which it does not do itself.

    Raises:
        RuntimeError: something in it cannot be recorded.
    """
    with torch.cuda.device(device):
        graph = torch.cuda.CUDAGraph()
        # other threads may train on the same device meanwhile, and allocate
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            work()
    replay: Work = graph.replay
    return replay
