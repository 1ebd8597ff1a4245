from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

import glo_dsl as glo
from glo_dsl.evolve import trainer
from glo_dsl.evolve.kernels import Candidate, build_candidates
from glo_dsl.evolve.task import Task

CROSS_ENTROPY = "loss ce(z: real[C], t: class[C]) = -log(softmax(z)[t])"
BRIER = "loss brier(t: class[C], z: real[C]; k = 3) = k * sum((softmax(z) - onehot(t)) ^ 2)"


def candidates() -> list[Candidate]:
    return build_candidates([glo.loads(CROSS_ENTROPY)["ce"], glo.loads(BRIER)["brier"]])


def one_by_one(task: Task, rate: float, seed: int) -> float:
    """The same training, written as anyone would write it: autograd, one network."""
    weights = [w.clone().requires_grad_() for w in trainer._one_network(task, seed)]
    first, first_bias, second, second_bias = weights

    def logits(x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(x @ first + first_bias) @ second + second_bias

    for chosen in trainer._batches(task, seed):
        loss = F.cross_entropy(logits(task.train[0][chosen]), task.train[1][chosen])
        for weight, gradient in zip(weights, torch.autograd.grad(loss, weights), strict=True):
            with torch.no_grad():
                weight -= rate * gradient
    return (logits(task.validation[0]).argmax(1) == task.validation[1]).float().mean().item()


def test_a_population_trains_as_its_members_would_alone(blobs: Task) -> None:
    rates = torch.tensor([[0.05, 0.5, 2.0]] * 2)
    found = trainer.train(blobs, candidates(), rates, [3, 4], blobs.validation)
    assert found.shape == (2, 2, 3)
    for s, seed in enumerate([3, 4]):
        for r, rate in enumerate([0.05, 0.5, 2.0]):
            assert found[0, s, r].item() == pytest.approx(one_by_one(blobs, rate, seed), abs=1e-6)
    assert found[1].min() > 0.5


def test_a_diverging_model_spoils_no_other(blobs: Task) -> None:
    alone = trainer.train(blobs, candidates()[:1], torch.tensor([[0.5]]), [3], blobs.validation)
    both = trainer.train(blobs, candidates(), torch.tensor([[0.5, 1e30], [1e38, torch.inf]]), [3], blobs.validation)
    assert both[0, 0, 0] == alone[0, 0, 0]
    assert both[1, 0, 1] == 0.0  # not a number: no accuracy


def test_the_result_does_not_depend_on_how_the_work_is_cut(blobs: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    rates = torch.tensor([[0.1, 1.0]] * 2)
    whole = trainer.train(blobs, candidates(), rates, [1, 2, 3], blobs.test)
    monkeypatch.setattr(trainer, "MODELS_AT_ONCE", 1)
    monkeypatch.setattr(trainer, "WORKERS", 1)
    assert torch.equal(trainer.train(blobs, candidates(), rates, [1, 2, 3], blobs.test), whole)


def test_without_a_compiler_candidates_run_in_pytorch(blobs: Task) -> None:
    rates = torch.tensor([[0.5]] * 2)
    compiled = trainer.train(blobs, candidates(), rates, [1], blobs.test)
    eager = [Candidate(c.loss, c.params, None) for c in candidates()]
    assert torch.allclose(trainer.train(blobs, eager, rates, [1], blobs.test), compiled, atol=0.02)


def test_nothing_to_train(blobs: Task) -> None:
    assert trainer.train(blobs, [], torch.zeros(0, 2), [1], blobs.test).shape == (0, 1, 2)
    assert build_candidates([]) == []
