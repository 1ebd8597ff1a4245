"""What is legal in a loss and still not what its author meant: proved or suspected by looking at its values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path

from glo_dsl.errors import ERROR, WARNING, Diagnostic, GloError
from glo_dsl.ir.expr import Expr, Var, walk
from glo_dsl.lang.definitions import Module, check, in_order
from glo_dsl.lang.elaborate import Place
from glo_dsl.lang.loss import Loss
from glo_dsl.lang.show import show
from glo_dsl.passes.aims import aims
from glo_dsl.passes.domains import Finding, Need, undefined
from glo_dsl.passes.simplify import simplify

MAX_QUOTE = 50
"""Longest expression that a message repeats, in characters."""

MAX_FINDINGS = 20
"""What is said about the values of one loss at most."""


def diagnose(text: str, name: str = "<string>", path: Path | None = None) -> Module:
    """Reads a `.glo` text and says everything there is to say about it; `path` is where imports are looked up from.

    >>> [d.message for d in diagnose("loss f(p: real, y: real in [0, 1]) = p * log(y - 1)").diagnostics]
    ['y - 1 is in [-1, 0]; log needs > 0']
    """
    module = check(text, name, path)
    found = [d for loss in module.losses.values() for d in lint(loss, module.places[loss.name])]
    return replace(module, diagnostics=in_order([*module.diagnostics, *found]))


def losses_without_errors(text: str, name: str = "<string>", path: Path | None = None) -> dict[str, Loss]:
    """The losses of a text about which no error can be proved.

    Raises:
        GloError: with everything that is wrong, each with its place.
    """
    module = diagnose(text, name, path)
    if module.errors:
        raise GloError.of(module.errors)
    return module.losses


def lint(loss: Loss, places: Mapping[Expr, Place]) -> Iterator[Diagnostic]:
    """What is wrong, or suspicious, in a loss that type-checks."""
    roots = [loss.expr] if loss.per is None else [loss.expr, loss.per]
    findings = list(islice((finding for root in roots for finding in undefined(root)), MAX_FINDINGS))
    if findings:
        kept = set(walk(simplify(roots)))  # log(sum(exp(z))) becomes a stable logsumexp: nothing overflows
        for finding in findings:
            if finding.node in kept or not _overflows(finding):
                yield _undefined(loss, finding, places)
    if not loss.holes and not any(finding.certain for finding in findings):
        yield from aims(loss)


def _overflows(finding: Finding) -> bool:
    return finding.need.relation == "<="


def _undefined(loss: Loss, finding: Finding, places: Mapping[Expr, Place]) -> Diagnostic:
    source, span = places.get(finding.node, (loss.source, loss.span))
    op, need = finding.node.op, finding.need
    quoted = _quote(finding.argument, places)
    what, code = f"{op.call} needs {_wanted(need)}", "undefined"
    if _overflows(finding):
        what, code = f"{op.call} overflows float32 above {need.bound:g}", "overflow"
    elif need.relation == "!=" and op.call == "/":
        what, code = "a divisor must not be 0", "division-by-zero"
    what += "".join(f", or {_quote(finding.node.args[n.place], places)} {_wanted(n)}" for n in finding.others)
    hint = None if finding.certain else _way_out(finding)
    severity = ERROR if finding.certain and code != "overflow" else WARNING
    return Diagnostic(f"{quoted} is in {finding.interval}; {what}", span, hint, source, code, severity)


def _wanted(need: Need) -> str:
    return "a whole number" if need.relation == "whole" else f"{need.relation} {need.bound:g}"


def _way_out(finding: Finding) -> str:
    """How an author rules the suspicion out."""
    arg, need = finding.argument, finding.need
    if _overflows(finding):
        subject = f"{arg.name}: {arg.type}" if isinstance(arg, Var) else "its inputs"
        return f"softmax, logsumexp and softplus do not overflow; or narrow the domain: {subject} in [-80, 80]"
    if isinstance(arg, Var):
        allowed = "(0, inf)" if need.relation == "!=" else str(need.set().meet(arg.domain))
        return f"declare its domain, for example {arg.name}: {arg.type} in {allowed}"
    if need.relation in (">", ">="):
        return "keep it away from there, for example with max(..., 1e-12), or narrow the domains of the inputs"
    return "narrow the domains of the inputs, or guard it with if"


def _quote(node: Expr, places: Mapping[Expr, Place]) -> str:
    """An expression as its author wrote it, where that is short, or as it is printed."""
    if isinstance(node, Var):
        return node.name
    if node in places:
        source, span = places[node]
        text = source.line(span.line)[span.column - 1 : span.column - 1 + span.length]
        if 1 < span.length <= MAX_QUOTE and text.strip() == text:
            return text
    text = show(node) if _is_small(node) else "what stands here"
    return text if len(text) <= MAX_QUOTE else f"{text[: MAX_QUOTE - 3]}..."


def _is_small(node: Expr) -> bool:
    """Whether the tree of an expression has few nodes, found without walking a large one."""
    stack, nodes = [node], 0
    while stack and nodes <= MAX_QUOTE:
        stack.extend(stack.pop().args)
        nodes += 1
    return not stack
