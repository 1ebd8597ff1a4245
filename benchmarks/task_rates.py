"""Which learning rate is best for the usual loss of each small task, and is it inside of the grid?

python benchmarks/task_rates.py --out benchmarks/results/task_rates.json    # some minutes, most of them for digits-cnn

Cross-entropy, or squared error for a regression, is trained with every rate of the grid and with many seeds; what is
printed is fitness on validation, as a mean over the seeds. Grid x seeds are trained at once, stacked by `torch.func`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
import torch.nn.functional as F
from measuring import machine
from torch import Tensor
from torch.func import functional_call, grad_and_value, stack_module_state, vmap

from glo_dsl.evolve.tasks import Task, task_named

TASKS = ("wine", "breast-cancer", "diabetes", "digits", "digits-noisy", "digits-cnn")
GRID = tuple(sorted(base * 10.0**power for power in (-2, -1, 0, 1) for base in (1, 2, 3, 5)))
SEEDS = 10


def usual_loss(task: Task, outputs: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy, or mean squared error."""
    return F.cross_entropy(outputs, targets) if task.metric == "accuracy" else F.mse_loss(outputs[:, 0], targets)


def fitness(task: Task, outputs: Tensor, targets: Tensor) -> Tensor:
    """[models, samples, outputs] to [models]: accuracy or r2, and the worst there is for a model that diverged."""
    if task.metric == "accuracy":
        found, worst = (outputs.argmax(-1) == targets).float().mean(-1), 0.0
    else:
        found, worst = 1 - (outputs[..., 0] - targets).square().mean(-1) / targets.var(unbiased=False), -1.0
    return torch.where(torch.isfinite(outputs).all(-1).all(-1), found.clamp_min(worst), worst)


def trained(task: Task, rates: Tensor, seed: int) -> Tensor:
    """Fitness on validation, one for each rate; all start from the same weights and see the same batches."""
    torch.manual_seed(seed)
    network = task.model()
    parameters, buffers = stack_module_state([network] * len(rates))
    steps = vmap(
        grad_and_value(lambda p, b, x, y: usual_loss(task, functional_call(network, (p, b), (x,)), y)),
        in_dims=(0, 0, None, None),
    )  # fmt: skip
    values = {name: value.detach() for name, value in parameters.items()}
    order = batches(task, seed)
    for number in range(task.recipe.steps):
        chosen = order[number]
        slopes, _ = steps(values, buffers, task.train[0][chosen], task.train[1][chosen])
        for name, value in values.items():
            value -= slopes[name] * rates.view(-1, *[1] * (value.ndim - 1))
    outputs = vmap(lambda p, b: functional_call(network, (p, b), (task.validation[0],)))(values, buffers)
    return fitness(task, outputs, task.validation[1])


def batches(task: Task, seed: int) -> Tensor:
    """[steps, batch]: epochs in random order, each without its incomplete last batch."""
    generator = torch.Generator().manual_seed(seed)
    samples, batch, steps = len(task.train[1]), task.recipe.batch, task.recipe.steps
    each = samples // batch
    epochs = [torch.randperm(samples, generator=generator)[: each * batch] for _ in range(-(-steps // each))]
    return torch.cat(epochs).view(-1, batch)[:steps]


def measured(task: Task) -> dict[str, object]:
    """All rates of the grid on one task: means and standard errors over the seeds, and the best of them."""
    rates = torch.tensor(GRID)
    found = torch.stack([trained(task, rates, seed) for seed in range(SEEDS)])  # [seeds, rates]
    means, errors = found.mean(0).tolist(), (found.std(0) / SEEDS**0.5).tolist()
    best = max(range(len(GRID)), key=lambda n: means[n])
    print(f"{task.name}: best {GRID[best]:g} with {means[best]:.4f}, the recipe has {task.recipe.rate:g}")
    for rate, mean, error in zip(GRID, means, errors):
        print(f"  {rate:<8g} {mean:.4f} +- {error:.4f}", flush=True)
    return {"mean": means, "standard_error": errors, "best": GRID[best], "recipe": task.recipe.rate}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", nargs="*", default=TASKS, help="some of the tasks; all if none is named")
    parser.add_argument("--out", type=Path, help="write the figures there; those of other tasks stay")
    arguments = parser.parse_args()
    torch.set_flush_denormal(True)  # what diverges or dies out would be many times slower
    figures = {name: measured(task_named(name)) for name in arguments.task}
    if arguments.out:
        kept = json.loads(arguments.out.read_text(encoding="utf-8")) if arguments.out.exists() else {}
        kept |= {"machine": machine(), "seeds": SEEDS, "rates": GRID, **figures}
        arguments.out.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
