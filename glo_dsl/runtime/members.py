"""The losses of a bundle: which of them are the same, their parameters as a table, and how they are computed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from glo_dsl.errors import GloError
from glo_dsl.lang.loss import Loss
from glo_dsl.passes.pipeline import compile_program
from glo_dsl.runtime.build_c import NoCompiler
from glo_dsl.runtime.c_kernel import CKernel, build_all
from glo_dsl.runtime.compile import compile
from glo_dsl.runtime.contract import CompiledLoss
from glo_dsl.runtime.planes import Group, Planes, Wanted
from glo_dsl.runtime.spec import InputSpec, widest

Array = np.ndarray[Any, Any]
Column = tuple[slice | Array, int | Array]
"""Members that have a parameter, and where each has it."""

Constant = float | Sequence[float] | Tensor


class Members:
    """P losses with the same inputs.

    Attributes:
        fns: the different ones among them, compiled.
        place: [P] which of these each member is.
        inputs: as the first of them has them.
        names: the parameters of all.
        target: what they were compiled for.
    """

    def __init__(self, losses: Sequence[Loss], target: str) -> None:
        distinct = {id(loss): loss for loss in losses}
        order = {key: n for n, key in enumerate(distinct)}
        self.losses = list(distinct.values())
        self.fns = [compile(loss, target) for loss in self.losses]
        self.place = np.array([order[id(loss)] for loss in losses])
        self.inputs = self.fns[0].spec.inputs
        for loss, fn in zip(self.losses, self.fns):
            if [_kind(i) for i in fn.spec.inputs] != [_kind(i) for i in self.inputs]:
                raise GloError(
                    f"{loss.name} takes other inputs than {losses[0].name}", loss.span,
                    "the losses of a bundle take the same inputs in the same order", loss.source,
                )  # fmt: skip
        self.names = list(dict.fromkeys(name for fn in self.fns for name, _ in fn.spec.params))
        self.target = target
        self._columns = {name: self._column(name) for name in self.names}
        width = max(len(fn.spec.params) for fn in self.fns)
        table = [[value for _, value in fn.spec.params] + [0.0] * (width - len(fn.spec.params)) for fn in self.fns]
        self._defaults: Array = np.array(table).reshape(len(self.fns), width)[self.place]
        self._kernels: dict[tuple[Wanted, bool], list[CKernel] | None] = {}
        self._tables: dict[torch.device, tuple[Tensor, dict[str, tuple[Any, Any]]]] = {}
        self._planes: dict[torch.device, Planes] = {}

    def _column(self, name: str) -> Column:
        """Which members have a parameter, and where."""
        where = [[n for n, _ in fn.spec.params] for fn in self.fns]
        columns = np.array([names.index(name) if name in names else -1 for names in where])[self.place]
        if bool(np.all(columns == columns[0])):
            return slice(None), int(columns[0])
        members = np.flatnonzero(columns >= 0)
        return members, columns[members]

    def theta(self, params: dict[str, Constant]) -> Array:
        """The parameters of all members, float64 [P, K].

        Raises:
            TypeError: nobody has a parameter of this name. ValueError: not one number, nor P.
        """
        theta: Array = self._defaults.copy() if params else self._defaults
        for name, value in params.items():
            given = value.detach().cpu().double().numpy() if isinstance(value, Tensor) else np.asarray(value, float)
            members, column = self._checked(name, given.shape)
            everyones = isinstance(members, slice)
            theta[members, column] = given if everyones else np.broadcast_to(given, len(self.place))[members]
        return theta

    def theta_on(self, device: torch.device, params: dict[str, Constant]) -> Tensor:
        """The same on a device, float32, without waiting for it: what is not there yet goes in one transfer.

        Raises:
            TypeError, ValueError: as `theta` does.
        """
        there = {name: value for name, value in params.items() if isinstance(value, Tensor) and value.device == device}
        numbers = {name: value for name, value in params.items() if name not in there}
        table, places = self._table(device)
        if numbers:
            theta = torch.from_numpy(self.theta(numbers).astype(np.float32)).to(device, non_blocking=True)
        else:
            theta = table.clone() if there else table
        for name, value in there.items():
            self._checked(name, tuple(value.shape))
            members, column = places[name]
            theta[members, column] = value.detach().float().expand(len(self.place))[members]
        return theta

    def _table(self, device: torch.device) -> tuple[Tensor, dict[str, tuple[Any, Any]]]:
        """The defaults on a device, and where parameters go there."""
        if device not in self._tables:

            def there(part: Any) -> Any:
                return torch.from_numpy(part).to(device) if isinstance(part, np.ndarray) else part

            columns = {name: (there(members), there(column)) for name, (members, column) in self._columns.items()}
            self._tables[device] = torch.from_numpy(self._defaults).float().to(device), columns
        return self._tables[device]

    def _checked(self, name: str, shape: tuple[int, ...]) -> Column:
        """Where a parameter goes whose values have a shape."""
        if name not in self._columns:
            has = f"its parameters are {', '.join(self.names)}" if self.names else "it has no parameters"
            raise TypeError(f"no loss of the bundle has a parameter {name}; {has}")
        count = len(self.place)
        if shape not in ((), (1,), (count,)):
            raise ValueError(f"parameter {name} must be one number or {count}, got shape {shape}")
        return self._columns[name]

    def wrt(self, fn: CompiledLoss, wanted: Wanted) -> dict[int, str]:
        """What a loss calls what is wanted, as far as it has a gradient by it; by the place among the wanted."""
        named = {n: w if isinstance(w, str) else fn.spec.inputs[w].name for n, w in enumerate(wanted)}
        return {n: name for n, name in named.items() if name in fn.spec.differentiable}

    def kernels(self, inputs: Sequence[Tensor], wanted: Wanted) -> list[CKernel] | None:
        """The C kernels of the different losses, built together; None where C does not serve."""
        if self.target not in ("auto", "c") or inputs[0].device.type != "cpu":
            return None
        key = wanted, widest(self.fns[0].spec, inputs) == torch.float64
        if key not in self._kernels:
            names = [self.wrt(fn, wanted).values() for fn in self.fns]
            programs = [compile_program(loss, wrt) for loss, wrt in zip(self.losses, names)]
            try:
                self._kernels[key] = build_all(programs, key[1])
            except NoCompiler:
                if self.target == "c":
                    raise
                self._kernels[key] = None
        return self._kernels[key]

    def groups(self, inputs: Sequence[Tensor]) -> list[Group] | None:
        """The different losses as Triton kernels; None where Triton does not serve."""
        if self.target != "triton" and (self.target != "auto" or inputs[0].device.type != "cuda"):
            return None
        device = inputs[0].device
        if device not in self._planes:
            self._planes[device] = Planes(self.losses, self.place, device)
        rows = [t.shape[-1] for t, i in zip(inputs, self.inputs) if i.rows]
        return self._planes[device].groups(max(rows, default=0))

    def calls(
        self, inputs: Sequence[Tensor], own: Sequence[bool], theta: Array | Tensor
    ) -> Iterator[tuple[CompiledLoss, list[Tensor], dict[str, Any]]]:
        """The call of every member as if it were alone."""
        for member, place in enumerate(self.place):
            fn = self.fns[place]
            params: dict[str, Any] = {name: theta[member, n] for n, (name, _) in enumerate(fn.spec.params)}
            yield fn, [t[member] if mine else t for t, mine in zip(inputs, own)], params

    def one_by_one(
        self, calls: Iterable[tuple[CompiledLoss, list[Tensor], dict[str, Any]]], wanted: Wanted, **options: Any
    ) -> tuple[Tensor, list[Tensor]]:
        """The losses, and the gradients, [P, ...] each; 0 where a member has none."""
        losses, gradients = [], [list[Tensor]() for _ in wanted]
        for fn, part, params in calls:
            wrt = self.wrt(fn, wanted)
            loss, found = fn.value_and_grad(*part, wrt=list(wrt.values()), **options, **params)
            losses.append(loss)
            for n, each in enumerate(gradients):
                each.append(found[wrt[n]] if n in wrt else loss.new_zeros(()))  # only parameters may be lacking
        return torch.stack(losses), [torch.stack(each) for each in gradients]


def _kind(entry: InputSpec) -> tuple[str, bool, bool]:
    return entry.kind, entry.rows, entry.shared
