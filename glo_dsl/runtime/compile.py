"""`compile`: a loss to a callable, with the target chosen by device."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import cache
from types import ModuleType

import torch
from torch import Tensor

from glo_codegen.c import translation_unit
from glo_codegen.torch_ import PER_ROW, emit_per_row, emit_torch
from glo_dsl.errors import GloError, did_you_mean
from glo_dsl.lang.loss import Loss
from glo_dsl.passes.pipeline import check_callable, compile_program, divisor_names, per_program, whole_program
from glo_dsl.runtime.build_c import NoCompiler, load_c
from glo_dsl.runtime.c_kernel import CKernel, apart, build
from glo_dsl.runtime.cache import key_of
from glo_dsl.runtime.contract import Backing, CompiledLoss
from glo_dsl.runtime.launched import launched
from glo_dsl.runtime.library import Library
from glo_dsl.runtime.load_module import load_module
from glo_dsl.runtime.spec import InputSpec, Kernel, Launch, Spec, Step, reducing
from glo_dsl.runtime.tiles import measured

TARGETS = ("auto", "triton", "c", "torch")

LIBRARY = Library("glo_dsl::loss")


def compile(loss: Loss, target: str = "auto") -> CompiledLoss:
    """The loss as a callable on tensors; see `CompiledLoss` for how to call it.

    `target` "auto" takes Triton for CUDA tensors and C for tensors on the CPU; without a C compiler PyTorch serves,
    and one warning says so. Parameters are arguments of the kernel: other values never compile anything.

    Raises:
        GloError: the loss has a hole or tells no number of classes, or the target does not exist.

    >>> import torch, glo_dsl as glo
    >>> mse = glo.compile(glo.loads("loss mse(p: real, y: real) = (p - y) ^ 2")["mse"])
    >>> mse(torch.tensor([1.0, 3.0]), torch.tensor([0.0, 1.0]))
    tensor(2.5000)
    """
    if target not in TARGETS:
        raise GloError(f"unknown target {target}; targets are {', '.join(TARGETS)}", hint=did_you_mean(target, TARGETS))
    check_callable(loss)
    spec = spec_of(loss)
    builders: dict[str, Callable[[], Kernel]] = {
        "triton": lambda: _triton(loss, spec), "c": lambda: _c(loss), "torch": lambda: _torch(loss, spec),
    }  # fmt: skip

    def choose(device: torch.device) -> Kernel:
        if target == "c" and device.type != "cpu":
            raise ValueError(f"target c runs on the CPU, not on {device}")
        if target != "auto":
            return builders[target]()
        if device.type != "cpu":
            return builders["triton" if device.type == "cuda" else "torch"]()
        try:
            return builders["c"]()
        except NoCompiler as reason:
            _warn_once(str(reason))
            return builders["torch"]()

    per_row = None if loss.per is None else getattr(load_module(emit_per_row(per_program(loss))), PER_ROW)
    key = f"{loss.name} {loss.expr.digest.hex()} {key_of(repr(spec), target)}"
    backing = Backing(choose, lambda: _differentiable(loss, spec), LIBRARY, key, per_row, (compile, (loss, target)))
    return CompiledLoss(spec, backing)


@cache
def _warn_once(reason: str) -> None:
    warnings.warn(f"{reason}; losses on the CPU run as PyTorch operations, several times slower", stacklevel=7)


def spec_of(loss: Loss) -> Spec:
    """What a call of the loss has to provide."""
    inputs = tuple(
        InputSpec(v.name, v.type.kind, rows=v.type.per_class, shared=not v.type.per_sample) for v in loss.inputs
    )
    return Spec(loss.name, inputs, tuple((p.name, p.default) for p in loss.params), divisor_names(loss))


def _triton(loss: Loss, spec: Spec) -> Kernel:
    module = triton_module(loss)
    return launched(spec, module.launch, module.INPLACE)


def triton_module(loss: Loss) -> ModuleType:
    """The Triton kernels of a loss, behind the `launch` of a module."""
    from glo_codegen.triton import emit_triton

    program = whole_program(loss)
    return load_module(emit_triton(program, measured(program)))


def _torch(loss: Loss, spec: Spec) -> Kernel:
    @cache
    def variant(wrt: tuple[str, ...]) -> Kernel:
        return reducing(spec, torch.no_grad()(_launch_torch(loss, wrt)), checks=True)

    return Kernel(lambda inputs, wrt, reduction, inplace: variant(wrt).prepare(inputs, wrt, reduction, inplace))


def _differentiable(loss: Loss, spec: Spec) -> Kernel:
    return reducing(spec, _launch_torch(loss, spec.differentiable))


def _launch_torch(loss: Loss, wrt: tuple[str, ...]) -> Launch:
    launch: Launch = load_module(emit_torch(compile_program(loss, wrt))).launch_torch
    return launch


def _c(loss: Loss) -> Kernel:
    @cache
    def variant(wrt: tuple[str, ...], double: bool, across: bool) -> CKernel:
        return build([compile_program(loss, wrt)], double, across=across)[0]

    load_c(translation_unit(()), double=False)  # fails here, and soon, if there is no compiler

    def kernel(inputs: Sequence[Tensor], wrt: tuple[str, ...]) -> CKernel:
        double = any(t.dtype == torch.float64 for v, t in zip(loss.inputs, inputs) if v.type.kind == "real")
        return variant(wrt, double, apart(inputs))

    def prepare(inputs: Sequence[Tensor], wrt: tuple[str, ...], reduction: str, inplace: str | None = None) -> Step:
        return kernel(inputs, wrt).prepare(inputs, reduction, inplace)

    return Kernel(prepare, overwrites=lambda inputs, wrt, name: kernel(inputs, wrt).overwrites(inputs, name))
