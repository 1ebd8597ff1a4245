"""Lowered value and gradients to a Program: sharing, names, and the fewest passes over the row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from glo_codegen.program import (
    CLASSES,
    LOSS,
    POSITION,
    Follow,
    Input,
    Instr,
    Load,
    Operand,
    Phase,
    Program,
    Rate,
    Reduce,
    Step,
    Store,
    grad,
    parameter,
)  # fmt: skip
from glo_dsl.ir import expr as ir
from glo_dsl.ir.expr import Apply, Const, Expr, Var, walk
from glo_dsl.ir.table import OPS
from glo_dsl.lang.loss import Loss
from glo_dsl.passes.levels import level
from glo_dsl.passes.online import Online


def rate_of(node: Expr) -> Rate:
    """How often the value of a node changes."""
    if node.type.per_class:
        return Rate.CLASS
    return Rate.SAMPLE if node.type.per_sample else Rate.UNIFORM


@dataclass
class _Draft:
    """The code of one phase while it is being collected."""

    scalars: list[Step] = field(default_factory=list)
    row: list[Step] = field(default_factory=list)
    reductions: list[Reduce] = field(default_factory=list)
    stores: list[Store] = field(default_factory=list)

    def phase(self) -> Phase:
        return Phase(tuple(self.scalars), tuple(self.row), tuple(self.reductions), tuple(self.stores))


@dataclass
class _Scheduler:
    loss: Loss
    drafts: list[_Draft]
    online: Online | None
    uniform: list[Instr] = field(default_factory=list)
    operands: dict[Expr, Operand] = field(default_factory=dict)
    named: int = 0

    def place(self, node: Expr) -> None:
        """Gives a node its operand and, if it is computed, its place in a phase."""
        match node:
            case Const() if node.type.kind == "bool":  # targets know no literal conditions, only comparisons
                self.operands[node] = name = self._name()
                self.uniform.append(Instr(name, OPS["eq"], (node.value, 1.0), "bool", Rate.UNIFORM))
            case Const():
                self.operands[node] = node.value
            case Var():
                self.operands[node] = self._variable(node)
            case Apply():
                self.operands[node] = self._application(node)

    def _name(self) -> str:
        self.named += 1
        return f"v{self.named - 1}"

    def _variable(self, node: Var) -> Operand:
        if node is ir.CLASSES:
            return CLASSES
        if node is ir.POSITION:
            return POSITION
        if node not in self.loss.inputs:
            return parameter(node.name)
        load = Load(self._name(), node.name, node.type.kind, rate_of(node))
        self._put(load, 0)
        return load.out

    def _application(self, node: Apply) -> Operand:
        name = self._name()
        args = tuple(self.operands[a] for a in node.args)
        row = node.args[0] if node.args else node
        if node.op.shape == "gather" and isinstance(row, Var):
            index = self.operands[node.args[1]]
            assert isinstance(index, str)
            self._put(Load(name, row.name, node.type.kind, Rate.SAMPLE, at=index), 0)
        elif node.op.reduces:
            self.drafts[self.level(node) - 1].reductions.append(self._reduction(node, name, args[0]))
        else:
            self._put(Instr(name, node.op, args, node.type.kind, self._rate(node)), self.level(node))
        return name

    def level(self, node: Expr) -> int:
        return level(node) if self.online is None else self.online.levels[node]

    def _reduction(self, node: Apply, name: str, arg: Operand) -> Reduce:
        followed = None if self.online is None else self.online.running.get(node)
        if followed is None:
            return Reduce(name, node.op, arg)
        maximum = self.operands[followed.maximum]
        assert isinstance(maximum, str)
        companion = None if followed.drifts_with is None else self._companion(node, followed.drifts_with)
        degree = self.operands[followed.degree] if isinstance(followed.degree, Expr) else followed.degree
        return Reduce(name, node.op, arg, Follow(maximum, degree, companion))

    def _companion(self, node: Apply, total: Expr) -> str:
        """The sum that a drifting one needs: one that has been placed, or the count of the classes seen so far."""
        if isinstance(total, Const):
            counted = Reduce(self._name(), node.op, total.value)
            self.drafts[self.level(node) - 1].reductions.append(counted)
            return counted.out
        name = self.operands[total]
        assert isinstance(name, str)
        return name

    def _rate(self, node: Apply) -> Rate:
        """A value that does not vary but needs a pass over a shared row cannot stand before the passes."""
        rate = rate_of(node)
        return Rate.SAMPLE if rate == Rate.UNIFORM and self.level(node) > 0 else rate

    def _put(self, step: Step, phase: int) -> None:
        if step.rate == Rate.CLASS:
            self.drafts[phase].row.append(step)
        elif step.rate == Rate.SAMPLE or isinstance(step, Load):
            self.drafts[phase].scalars.append(step)
        else:
            self.uniform.append(step)


def schedule(loss: Loss, value: Expr, gradients: Mapping[Var, Expr], online: Online | None = None) -> Program:
    """The Program for `value` and `gradients` of `loss`, all of them lowered.

    A value of level n, that is one that needs n reductions before it, is computed in phase n: reductions that do not
    depend on each other share a pass, and no pass starts before all that it needs is known. With `online` the levels
    are those found there, and some sums follow a maximum of their own pass.
    """
    roots = (value, *gradients.values())
    levels = level if online is None else online.levels.__getitem__
    scheduler = _Scheduler(loss, [_Draft() for _ in range(1 + max(levels(root) for root in roots))], online)
    for node in walk((*((*online.degrees, *online.companions) if online else ()), *roots)):
        scheduler.place(node)
    results: list[tuple[str, Operand]] = [(LOSS, scheduler.operands[value])]
    for variable, gradient in gradients.items():
        operand = scheduler.operands[gradient]
        if variable.type.per_class:
            scheduler.drafts[levels(gradient)].stores.append(Store(grad(variable.name), operand))
        else:
            results.append((grad(variable.name), operand))
    return Program(
        name=loss.name, text=loss.text,
        inputs=tuple(_input(v) for v in loss.inputs), params=tuple(p.name for p in loss.params),
        uniform=tuple(scheduler.uniform), phases=tuple(draft.phase() for draft in scheduler.drafts),
        results=tuple(results), gradients=tuple(v.name for v in gradients),
    )  # fmt: skip


def _input(variable: Var) -> Input:
    return Input(variable.name, variable.type.kind, rate_of(variable), variable.type.per_sample)
