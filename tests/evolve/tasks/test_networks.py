"""Parameter counts against sums over layers, and every network stacked against the same networks alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from glo_dsl.evolve.tasks import networks

NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "perceptron": (partial(networks.perceptron, 64, 32, 10), (64,)),
    "digits_cnn": (networks.digits_cnn, (1, 8, 8)),
    "mnist_cnn": (networks.mnist_cnn, (1, 28, 28)),
    "cifar_cnn": (networks.cifar_cnn, (3, 24, 24)),
    "all_cnn_c": (networks.all_cnn_c, (3, 32, 32)),
    "resnet20": (networks.resnet20, (3, 8, 8)),  # averaged over all pixels, so smaller images will do
    "wide_resnet_16_8": (networks.wide_resnet_16_8, (3, 8, 8)),
}
NORMALISED = {"resnet20", "wide_resnet_16_8"}
DROPOUT = {"mnist_cnn": 1, "all_cnn_c": 2, "wide_resnet_16_8": 6}


def dense(inputs: int, outputs: int) -> int:
    return (inputs + 1) * outputs


def convolution(inputs: int, outputs: int, size: int) -> int:
    return (inputs * size * size + 1) * outputs


def wide_resnet(depth: int, factor: int) -> int:
    """Zagoruyko & Komodakis, table 1: three groups of (depth - 4) / 6 blocks of two convolutions without bias."""
    total, width = 3 * 16 * 9, 16
    for group in (16, 32, 64):
        for _ in range((depth - 4) // 6):
            new = group * factor
            total += 2 * width + width * new * 9 + 2 * new + new * new * 9 + (width * new if width != new else 0)
            width = new
    return total + 2 * width + dense(width, 10)


COUNTS = {
    "perceptron": dense(64, 32) + dense(32, 10),
    "digits_cnn": convolution(1, 16, 3) + convolution(16, 32, 3) + dense(2 * 2 * 32, 10),
    "mnist_cnn": convolution(1, 32, 5) + convolution(32, 64, 5) + dense(7 * 7 * 64, 1024) + dense(1024, 10),
    "cifar_cnn": convolution(3, 64, 5) + convolution(64, 64, 5)
    + dense(6 * 6 * 64, 384) + dense(384, 192) + dense(192, 10),
    "all_cnn_c": convolution(3, 96, 3) + 2 * convolution(96, 96, 3) + convolution(96, 192, 3)
    + 3 * convolution(192, 192, 3) + convolution(192, 192, 1) + convolution(192, 10, 1),
    "resnet20": 269_722,  # by hand: 464 + 14016 + 51072 + 203520 + 650; the paper says 0.27 M
    "wide_resnet_16_8": wide_resnet(16, 8),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_it_has_as_many_parameters_as_its_layers_say(name: str) -> None:
    assert networks.parameters(NETWORKS[name][0]()) == COUNTS[name]


def test_the_counts_of_the_papers() -> None:
    assert COUNTS["wide_resnet_16_8"] == 10_961_370  # "11.0 M" in their table 4
    assert COUNTS["all_cnn_c"] == 1_369_738  # "1.3 M" in their table
    assert COUNTS["mnist_cnn"] == 3_274_634


@pytest.mark.parametrize("name", NETWORKS)
def test_dropout_and_normalisation_are_where_they_should_be(name: str) -> None:
    found = [type(layer) for layer in NETWORKS[name][0]().modules()]
    assert found.count(nn.Dropout) == DROPOUT.get(name, 0)
    assert (nn.BatchNorm2d in found) == (name in NORMALISED)


def test_depths() -> None:
    """The name of a ResNet counts its last layer and no shortcuts; that of a wide one the other way round."""

    def convolutions(network: nn.Module) -> int:
        return sum(isinstance(layer, nn.Conv2d) for layer in network.modules())

    assert convolutions(networks.resnet20()) + 1 == 20
    assert convolutions(networks.wide_resnet_16_8()) == 16


def test_logits_of_all_cnn_c_are_the_mean_of_36_rectified_pixels() -> None:
    network = networks.all_cnn_c().eval()
    assert isinstance(network, nn.Sequential)
    x = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = network[:-2](x)
        logits = network(x)
    assert before.shape == (3, 10, 8, 8) and logits.min() >= 0
    torch.testing.assert_close(logits, before[:, :, :6, :6].mean((2, 3)))


@pytest.mark.parametrize("make", [networks.resnet20, networks.wide_resnet_16_8])
def test_residual_networks_start_from_hes_weights(make: Callable[[], nn.Module]) -> None:
    layers = [layer for layer in make().modules() if isinstance(layer, nn.Conv2d)]
    for layer in layers:
        wanted = (2 / (layer.kernel_size[0] ** 2 * layer.out_channels)) ** 0.5
        assert layer.weight.std().item() == pytest.approx(wanted, rel=0.25) and layer.bias is None


def test_response_norm_is_that_of_tensorflow() -> None:
    x = torch.randn(2, 64, 3, 3, generator=torch.Generator().manual_seed(0)) * 30
    squares = torch.stack([x[:, max(0, c - 4) : c + 5].square().sum(1) for c in range(64)], dim=1)
    (layer, _) = [m for m in networks.cifar_cnn().modules() if isinstance(m, nn.LocalResponseNorm)]
    torch.testing.assert_close(layer(x), x / (1 + 0.001 / 9 * squares) ** 0.75)


@pytest.mark.parametrize("name", NETWORKS)
def test_stacked_it_gives_what_it_gives_alone(name: str) -> None:
    """Outputs and gradients of two networks in one pass, in eval mode, so that there is no chance in it."""
    make, shape = NETWORKS[name]
    torch.manual_seed(1)
    models = [make().eval() for _ in range(2)]
    x = torch.randn(2, *shape)
    upstream = torch.randn(2, 2, 10)
    parameters, buffers = stack_module_state(models)
    network = deepcopy(models[0]).to("meta")

    def output(p: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> Tensor:
        return functional_call(network, (dict(p), dict(b)), (x,))  # type: ignore[no-any-return]

    together = vmap(output)(parameters, buffers)
    together.backward(upstream)
    for n, model in enumerate(models):
        alone = model(x)
        torch.testing.assert_close(together[n], alone, rtol=1e-5, atol=1e-5)
        alone.backward(upstream[n])
        for key, value in model.named_parameters():
            assert value.grad is not None and parameters[key].grad is not None
            scale = max(1.0, value.grad.abs().max().item())
            torch.testing.assert_close(parameters[key].grad[n] / scale, value.grad / scale, rtol=1e-5, atol=1e-5)


def test_stacked_batch_norm_moves_the_statistics_of_each_network_in_place() -> None:
    torch.manual_seed(1)
    models = [networks.resnet20().train() for _ in range(2)]
    x = torch.randn(4, 3, 8, 8)
    parameters, buffers = stack_module_state(deepcopy(models))
    vmap(lambda p, b: functional_call(models[0], (p, b), (x,)))(parameters, buffers)
    for n, model in enumerate(models):
        model(x)
        for key, value in model.named_buffers():
            torch.testing.assert_close(buffers[key][n], value, rtol=1e-5, atol=1e-5)
    assert buffers["1.num_batches_tracked"].tolist() == [1, 1]
    assert not torch.equal(buffers["1.running_mean"][0], buffers["1.running_mean"][1])


def test_stacked_dropout_needs_to_be_told_that_it_differs() -> None:
    layer = nn.Dropout(0.5)
    x = torch.ones(2, 64)
    with pytest.raises(RuntimeError, match="randomness"):
        vmap(layer)(x)
    found = vmap(layer, randomness="different")(x)
    assert not torch.equal(found[0], found[1])
