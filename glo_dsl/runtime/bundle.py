"""`bundle`: many losses on one batch, or each on its own, in one call: a population of constants or of formulas."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from glo_dsl.errors import GloError
from glo_dsl.lang.loss import Loss
from glo_dsl.runtime.c_kernel import CKernel
from glo_dsl.runtime.contract import REMEMBERED, CompiledLoss, check_reduction
from glo_dsl.runtime.layout import layout_of
from glo_dsl.runtime.many import Many
from glo_dsl.runtime.members import Array, Constant, Members
from glo_dsl.runtime.planes import Group, Wanted, gathered


def bundle(losses: Sequence[Loss], target: str = "auto") -> Bundle:
    """Losses to be computed together; see `Bundle` for how to call it. One loss may be there many times.

    Raises:
        GloError: there is none, their inputs differ, or one cannot be compiled.

    >>> import torch, glo_dsl as glo
    >>> focal = glo.bundle([glo.zoo["focal"]] * 3)
    >>> focal(torch.zeros(5, 2), torch.zeros(5, dtype=torch.int64), gamma=[0.0, 1.0, 2.0])
    tensor([0.6931, 0.3466, 0.1733])
    """
    if not losses:
        raise GloError("a bundle of no losses", hint="give one at least; the same one may be there many times")
    return Bundle(Members(losses, target))


@dataclass(frozen=True, slots=True)
class _Call:
    """A call whose arguments have been checked.

    Attributes:
        own: which inputs have a part for each member.
        theta: the parameters of all members; on the device of the inputs if there are groups.
        kernels: the different losses in C, if they can be called together.
        groups: the members by Triton, if they can.
    """

    inputs: Sequence[Tensor]
    own: tuple[bool, ...]
    wanted: Wanted
    theta: Array | Tensor
    options: dict[str, Any]
    kernels: list[CKernel] | None
    groups: list[Group] | None

    @property
    def together(self) -> bool:
        """Whether the members can be called together, rather than one by one."""
        return self.kernels is not None or self.groups is not None

    def singly(self, members: Members) -> Iterator[tuple[CompiledLoss, list[Tensor], dict[str, Any]]]:
        """The call of every member as if it were alone."""
        return members.calls(self.inputs, self.own, self.theta)


class Bundle:
    """P losses that take the same inputs, computed in one call.

    Call it as `losses = many(*inputs, reduction="mean", ignore_index=-100, **params)`. Inputs per class are (N, C), per
    sample (N,) and shared (C,), for all members alike; with P as a first axis, each member has its own. A parameter is
    a number or P numbers, and goes to every member that has one of that name. The result is [P], or [P, N] for "none":
    for every member what a call of its own gives, differentiable once by the real inputs.

    On the CPU one foreign call computes all members on all cores. By Triton one launch computes all members whose
    rows fit the registers, up to 16 different losses of any number of constants; with longer rows each of these losses
    is a launch. Other constants compile nothing. On other targets members are called one after the other.

    Raises:
        TypeError: an unknown or missing argument. ValueError: shapes or dtypes that do not fit.
        IndexError: a class index out of range, where it can be seen without waiting for the device.
    """

    def __init__(self, members: Members) -> None:
        self._members = members
        self._ready: dict[tuple[Any, ...], list[Many]] = {}
        self._seen: dict[tuple[Any, ...], tuple[bool, ...]] = {}

    def __reduce__(self) -> tuple[Callable[..., Bundle], tuple[object, ...]]:
        """A pickle holds the losses, and where it is loaded they are compiled again, through the cache."""
        losses = [self._members.losses[place] for place in self._members.place]
        return bundle, (losses, self._members.target)

    def __deepcopy__(self, _: dict[int, Any]) -> Bundle:
        """Itself, for a call leaves nothing behind: copies of a model share their bundle."""
        return self

    def __len__(self) -> int:
        return len(self._members.place)

    def __repr__(self) -> str:
        names = [loss.name for loss in self._members.losses]
        return f"<bundle of {len(self)} losses: {', '.join(names[:4])}{', ...' * (len(names) > 4)}>"

    def __call__(
        self, *inputs: Tensor, reduction: str = "mean", ignore_index: int = -100, **params: Constant
    ) -> Tensor:
        """The losses of all members."""
        free = tuple(n for n, t in enumerate(inputs) if isinstance(t, Tensor) and t.requires_grad)
        wanted: Wanted = free if torch.is_grad_enabled() else ()
        call = self._call(inputs, wanted, reduction, ignore_index, params)
        if not call.together:
            return torch.stack([fn(*part, **call.options, **p) for fn, part, p in call.singly(self._members)])
        if not wanted:
            return self._together(call)[0]
        found: Tensor = _Together.apply(self, call, *inputs)  # type: ignore[no-untyped-call]
        return found

    def value_and_grad(
        self, *inputs: Tensor, wrt: Sequence[str] | None = None, reduction: str = "mean", ignore_index: int = -100,
        **params: Constant,
    ) -> tuple[Tensor, dict[str, Tensor]]:  # fmt: skip
        """The losses of all members and their gradients, [P, ...] each, without autograd.

        `wrt` names inputs, as the first loss calls them, and parameters; by default the first real input. A gradient by
        a parameter is [P], and 0 for a member without one of that name.
        """
        real = {i.name: n for n, i in enumerate(self._members.inputs) if i.kind == "real"}
        names = list(real)[:1] if wrt is None else list(wrt)
        for name in names:
            if name not in real and name not in self._members.names:
                has = ", ".join([*real, *self._members.names])
                raise ValueError(f"the bundle has no gradient for {name}; it has: {has}")
        wanted = tuple(real.get(n, n) for n in names)
        call = self._call([t.detach() if isinstance(t, Tensor) else t for t in inputs], wanted, reduction, ignore_index,
                          params)  # fmt: skip
        if not call.together:
            loss, found = self._members.one_by_one(call.singly(self._members), wanted, **call.options)
        else:
            loss, raw = self._together(call)
            found = [g.sum(1) if self._sums_rows(w) else g for w, g in zip(wanted, raw)]
        kinds = [inputs[real[n]].dtype if n in real else loss.dtype for n in names]
        return loss, {name: g.to(kind) for name, g, kind in zip(names, found, kinds)}

    def _call(
        self, inputs: Sequence[Tensor], wanted: Wanted, reduction: str, ignore_index: int, params: dict[str, Constant]
    ) -> _Call:
        """A call, checked; without kernels if its members have to be called one by one."""
        check_reduction(reduction)
        members, own = self._members, self._own(inputs)
        options = {"reduction": reduction, "ignore_index": ignore_index}
        by_quotient = reduction == "mean" and any(
            fn.spec.divisor and set(members.wrt(fn, wanted).values()) & set(fn.spec.divisor) for fn in members.fns
        )
        kernels = None if by_quotient else members.kernels(inputs, wanted)
        groups = None if by_quotient else members.groups(inputs)
        theta = members.theta(params) if groups is None else members.theta_on(inputs[0].device, params)
        return _Call(inputs, own, wanted, theta, options, kernels, groups)

    def _together(self, call: _Call) -> tuple[Tensor, list[Tensor]]:
        """The losses, and the gradients [P, N, C] or [P, N], in the dtype of the computation."""
        if call.kernels is None:
            return self._by_groups(call)
        members, reduction, ignore_index = self._members, call.options["reduction"], call.options["ignore_index"]
        found = self._divisors(call)
        divisors = None if found is None else found.double().numpy()
        tensors = call.kernels[0].converted(call.inputs)
        key = (call.own, call.wanted, reduction, *((t.shape, t.stride(), t.dtype) for t in tensors))
        if len(self._ready) >= REMEMBERED:
            self._ready.clear()
        idle = self._ready.setdefault(key, [])
        try:
            many = idle.pop()  # a list hands out each of its items to one thread only
        except IndexError:
            wrt = [members.wrt(members.fns[place], call.wanted) for place in members.place]
            wide = [not isinstance(w, str) and members.inputs[w].rows for w in call.wanted]
            many = Many([call.kernels[n] for n in members.place], tensors, call.own, wrt, wide, reduction)
        assert not isinstance(call.theta, Tensor)
        outcome = many.run(tensors, call.theta, ignore_index, divisors)
        idle.append(many)
        return outcome

    def _by_groups(self, call: _Call) -> tuple[Tensor, list[Tensor]]:
        """The same, in few launches."""
        assert call.groups is not None and isinstance(call.theta, Tensor)
        divisors = self._divisors(call)
        outcomes, inputs = [], [t.detach() for t in call.inputs]
        for group in call.groups:
            loss, found = group.run(inputs, call.own, call.wanted, call.theta, divisors=divisors, **call.options)
            outcomes.append((group, loss, found))
        losses = gathered([(group, loss) for group, loss, _ in outcomes], len(self))
        places = range(len(call.wanted))
        return losses, [gathered([(g, found[n]) for g, _, found in outcomes if n in found], len(self)) for n in places]

    def _divisors(self, call: _Call) -> Tensor | None:
        """What the mean of each member divides by [P], where that is more than a number of rows."""
        if call.options["reduction"] != "mean" or all(loss.per is None for loss in self._members.losses):
            return None
        ignore_index = call.options["ignore_index"]
        calls = call.singly(self._members)
        return torch.stack([f.divisor(*part, ignore_index=ignore_index, **p).float() for f, part, p in calls])

    def _sums_rows(self, wanted: int | str) -> bool:
        """Whether all rows add to a gradient."""
        return isinstance(wanted, str) or self._members.inputs[wanted].shared

    def _own(self, inputs: Sequence[Tensor]) -> tuple[bool, ...]:
        """Which inputs have a part for each member; all of them checked, once for each kind of tensors."""
        if not all(isinstance(t, Tensor) for t in inputs):
            return self._owning(inputs)
        key = tuple([(t.shape, t.stride(), t.dtype, t.device) for t in inputs])
        own = self._seen.get(key)
        if own is None:
            own = self._owning(inputs)
            if len(self._seen) >= REMEMBERED:
                self._seen.clear()
            self._seen[key] = own
        return own

    def _owning(self, inputs: Sequence[Tensor]) -> tuple[bool, ...]:
        own = []
        for entry, tensor in zip(self._members.inputs, inputs):
            axes = ["N"] * (not entry.shared) + ["C"] * entry.rows
            mine = isinstance(tensor, Tensor) and tensor.dim() == len(axes) + 1 and tensor.shape[0] == len(self)
            if isinstance(tensor, Tensor) and not mine and tensor.dim() != len(axes):
                have = f"({', '.join(axes)}) or ({', '.join([str(len(self)), *axes])})"
                raise ValueError(f"{entry.name} must have shape {have}, got {tuple(tensor.shape)}")
            own.append(mine)
        parts = [t[0] if mine else t for t, mine in zip(inputs, own)] + list(inputs[len(own) :])
        layout = layout_of(self._members.fns[0].spec, parts, 1)
        if not layout.direct:
            sizes = ", ".join(str(tuple(t.shape)) for t in inputs)
            raise ValueError(f"the inputs of a bundle must have the same number of samples, got {sizes}")
        return tuple(own)


class _Together(torch.autograd.Function):
    """The losses of a bundle, with the gradients that were computed along."""

    @staticmethod
    def forward(ctx: Any, many: Bundle, call: _Call, *inputs: Tensor) -> Tensor:
        loss, gradients = many._together(call)
        ctx.save_for_backward(*gradients)
        ctx.many, ctx.wanted, ctx.own = many, call.wanted, call.own
        ctx.dtypes = [t.dtype for t in inputs]
        return loss

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        found: list[Tensor | None] = [None] * len(ctx.dtypes)
        for place, gradient in zip(ctx.wanted, ctx.saved_tensors):
            scaled = gradient * upstream.reshape(*upstream.shape, *[1] * (gradient.dim() - upstream.dim()))
            scaled = scaled.sum(1) if ctx.many._sums_rows(place) else scaled
            found[place] = (scaled if ctx.own[place] else scaled.sum(0)).to(ctx.dtypes[place])
        return None, None, *found
