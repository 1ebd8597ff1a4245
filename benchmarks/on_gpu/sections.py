"""The sections of a run, in the order in which they are run; their seconds add up to less than eight minutes."""

from __future__ import annotations

from on_gpu import (
    accuracy,
    bandwidth,
    compilation,
    layers,
    libraries,
    population,
    promises,
    rivals,
    steps,
    trapped,
)  # fmt: skip
from on_gpu.setting import Section

ALL = (
    Section("accuracy", "errors over kernel families and kinds of logits", 35, accuracy.accuracy, timed=False),
    Section("promises", "equal bits, graphs, more than 2^31 numbers", 25, promises.promises, timed=False),
    Section("traps", "the traps of traps/, on this device", 55, trapped.trapped, timed=False),
    Section("bandwidth", "cross-entropy against a copy of its logits", 30, bandwidth.against_copy,
            ahead=bandwidth.kernels_of_copies),
    Section("rows", "every loss of rows against cross-entropy", 40, bandwidth.against_cross_entropy,
            ahead=bandwidth.kernels_of_losses, summary=bandwidth.summary),
    Section("libraries", "Liger and quack", 30, libraries.against_libraries),
    Section("steps", "what a call of 128x10 costs", 15, steps.overhead),
    Section("population", "many losses in a call", 25, population.populations, ahead=population.ahead),
    Section("compilation", "from text to the first gradient", 40, compilation.latency),
    Section("layers", "glo.linear against the matrix products", 40, layers.layers),
    Section("rivals", "eager PyTorch and torch.compile on 12 losses x 6 shapes", 115, rivals.against_pytorch,
            ahead=rivals.ahead, summary=rivals.summary),
)  # fmt: skip
"""Those whose results others would disturb come last; while the first ones run, kernels are built for them."""
