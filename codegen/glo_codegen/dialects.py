"""Libraries of whole arrays: what they call things, beside the spelling of operators, which is in the table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from glo_codegen.program import Spelled


@dataclass(frozen=True)
class Dialect:
    """A library.

    Attributes:
        imports: for each module the word that it has in the text, and its import.
        words: what the placeholders of spellings stand for.
        spelling: the column of the operator table.
        dtype: the lines that find `dtype`, from the names of the real inputs.
        read: how an input of each kind is made an array.
        shared: what all samples share, made a row of each; {1} is a row.
        take: the entry of a row at a class index.
        spread: one number as one per sample.
        refuse, poison: what happens to a class index out of range, before and after the loss is known; {1} is a row.
        counts: words of the text and the lines that they need; {first} is an input.
        literal: lines that define `literal`, for libraries whose functions take no plain numbers.
        number: a parameter made an array.
        module: whether there is an `nn.Module`.
    """

    imports: tuple[tuple[str, str], ...]
    words: Mapping[str, str]
    spelling: Callable[[Spelled], str]
    dtype: Callable[[list[str]], Iterator[str]]
    read: Mapping[str, str]
    shared: str
    take: str
    spread: str
    refuse: tuple[str, ...] = ()
    poison: tuple[str, ...] = ()
    counts: tuple[tuple[str, str], ...] = ()
    literal: tuple[str, ...] = ()
    number: str = ""
    module: bool = False


def _array_dtype(np: str) -> Callable[[list[str]], Iterator[str]]:
    def lines(reals: list[str]) -> Iterator[str]:
        if reals:
            yield f"dtype = {np}.promote_types({np}.float32, {np}.result_type({', '.join(reals)}))"
        else:
            yield f"dtype = {np}.float32"

    return lines


def _torch_dtype(reals: list[str]) -> Iterator[str]:
    yield (
        f"dtype = torch.promote_types(torch.float32, {reals[0]}.dtype)" if len(reals) == 1 else "dtype = torch.float32"
    )
    if len(reals) > 1:
        yield f"for each in ({', '.join(reals)}):"
        yield "    dtype = torch.promote_types(dtype, each.dtype)"


def _arrays(op: Spelled) -> str:
    return op.arrays


def _torch(op: Spelled) -> str:
    return op.torch


COUNTS = (
    ("C", "C = {first}.shape[-1]"),
    ("classes", "classes = float({first}.shape[-1])"),
    ("position", "position = {np}.arange({first}.shape[-1])"),
)
READ = {"real": "{np}.asarray({0}, dtype)", "bool": "{np}.asarray({0}, bool)", "class": "{np}.asarray({0})"}

JAX = Dialect(
    imports=(("jax", "import jax"), ("jnp", "import jax.numpy as jnp"), ("special", "from jax.scipy import special")),
    words={"np": "jnp"}, spelling=_arrays, dtype=_array_dtype("jnp"), read=READ, counts=COUNTS,
    shared="jnp.broadcast_to({0}, {1}.shape)", take="jnp.take_along_axis({0}, {1}, axis=-1)",
    spread="jnp.broadcast_to({0}, {1})",
    poison=("loss = jnp.where(({0} >= 0) & ({0} < {1}.shape[-1]), loss, jnp.nan)",),
)  # fmt: skip
"""jax.numpy: a class index out of range poisons its sample, for nothing can be raised from within `jax.jit`."""

NUMPY = Dialect(
    imports=(("np", "import numpy as np"), ("special", "from scipy import special")),
    words={"np": "np"}, spelling=_arrays, dtype=_array_dtype("np"), read=READ, counts=COUNTS,
    shared="np.broadcast_to({0}, {1}.shape)", take="np.take_along_axis({0}, {1}, axis=-1)",
    spread="np.broadcast_to({0}, {1})",
    refuse=(
        "if np.any(({0} < 0) | ({0} >= {1}.shape[-1])):",
        '    raise IndexError(f"{0} has a class index outside [0, {{{1}.shape[-1]}})")',
    ),
)  # fmt: skip
"""NumPy, with SciPy where the loss needs a special function: values without gradients."""

TORCH = Dialect(
    imports=(("torch", "import torch"),),
    words={"np": "torch"}, spelling=_torch, dtype=_torch_dtype,
    read={"real": "{0}.to(dtype)", "bool": "{0}.bool()", "class": "{0}.long()"},
    shared="{0}.expand({1}.shape)", take="torch.gather({0}, -1, {1})", spread="{0}.expand({1})",
    counts=(
        ("C", "C = {first}.shape[-1]"),
        ("classes", "classes = literal({first}.shape[-1])"),
        ("position", "position = torch.arange({first}.shape[-1], device={first}.device)"),
    ),
    literal=(
        "", "def literal(value):",
        "    return torch.full((), value, dtype=dtype, device={first}.device)", "",
    ),
    number="torch.as_tensor({0}, dtype=dtype, device={first}.device)", module=True,
)  # fmt: skip
"""PyTorch, differentiated by autograd."""
