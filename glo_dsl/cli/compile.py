"""`glo compile`: a .glo file to a standalone module, or to any stage on the way there."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer

import glo_dsl
from glo_dsl.cli.files import read_losses
from glo_dsl.errors import GloError, did_you_mean
from glo_dsl.lang.loss import Loss

TEXTS: dict[str, Callable[[Loss], str]] = {}
"""Stages that are text and need no target, by name; filled below."""

MACHINE = ("ttir", "ttgir", "ptx", "cubin", "amdgcn", "hsaco")
"""Stages that Triton's compiler makes for a target."""

DEFAULT_STAGE = {"cpu": "c", "cuda": "cubin", "hip": "hsaco"}


def compile_command(
    file: Annotated[Path, typer.Argument(help="The .glo file.", show_default=False)],
    loss: Annotated[str, typer.Option(help="Which loss of the file; needed when there are several.")] = "",
    emit: Annotated[str, typer.Option(help="tree, ir, gradient, latex, program, triton, ttir, ttgir, ptx, cubin, "
                                           "amdgcn, hsaco, c, torch; resources: registers, spills and shared memory "
                                           "of a GPU kernel; traffic: what each kernel family reads and writes, pass "
                                           "by pass. Without it: a standalone Python module.")] = "",
    target: Annotated[str, typer.Option(help="cpu, cuda:80, cuda:90, cuda:100, hip:gfx942 ... (no GPU needed); "
                                             "for resources several, with commas.")] = "",
    output: Annotated[str, typer.Option("-o", "--output", help="Where to write; else standard output. A cubin into a "
                                        "directory comes with a C header, and the same as JSON, to launch it.")] = "",
    classes: Annotated[int, typer.Option(help="Number of classes to size a GPU kernel for.", min=1)] = 1000,
    dtype: Annotated[str, typer.Option(help="Type of the real inputs, for traffic and GPU kernels.")] = "float32",
) -> None:  # fmt: skip
    """Compile a loss: by default to a Python module that needs torch and triton alone."""
    chosen = choose(read_losses(file), file, loss)
    stage = emit or (_stage_of(target) if target else "")
    if stage == "cubin" and (output.endswith(os.sep) or Path(output or "-").is_dir()):
        _ahead_of_time(chosen, target or _default_target(stage), classes, dtype, Path(output))
    elif stage in MACHINE:
        write(_machine_code(chosen, stage, target or _default_target(stage), classes, dtype), output, stage)
    elif stage == "resources":
        write(_resources(chosen, target or _default_target(stage), classes, dtype), output, stage)
    elif stage == "traffic":
        write(_traffic(chosen, dtype), output, stage)
    elif stage:
        if stage not in TEXTS:
            known = [*TEXTS, *MACHINE, "resources", "traffic"]
            raise GloError(
                f"nothing is called {stage} here", hint=did_you_mean(stage, known) or f"choose: {', '.join(known)}"
            )
        write(TEXTS[stage](chosen), output, stage)
    else:
        from glo_dsl.runtime.standalone import standalone

        write(standalone(chosen, glo_dsl.__version__), output, "module")


def choose(losses: dict[str, Loss], file: Path, name: str) -> Loss:
    """The loss that is meant.

    Raises:
        GloError: the file has none, none of this name, or several and no name is given.
    """
    if name:
        if name not in losses:
            raise GloError(
                f"{file} has no loss {name}", hint=did_you_mean(name, losses) or f"it has: {', '.join(losses)}"
            )
        return losses[name]
    if len(losses) != 1:
        hint = f"choose one with --loss: {', '.join(losses)}" if losses else "write: loss NAME(z: real[C]) = ..."
        raise GloError(f"{file} has {len(losses) or 'no'} losses", hint=hint)
    return next(iter(losses.values()))


def find(file: str, name: str) -> Loss:
    """The loss of a file, or the one of the library that has this name.

    Raises:
        GloError: there is neither; or as `choose` says.
    """
    if not Path(file).exists() and not file.endswith(".glo"):
        if file not in glo_dsl.zoo:
            hint = did_you_mean(file, glo_dsl.zoo) or "glo zoo lists the losses of the library"
            raise GloError(f"there is no file {file}, nor has the library a loss of that name", hint=hint)
        return glo_dsl.zoo[file]
    return choose(read_losses(Path(file)), Path(file), name)


def write(result: str | bytes, output: str | Path, what: str) -> None:
    """Text to standard output or a file, machine code to a file.

    Raises:
        GloError: the file cannot be written, or machine code has nowhere to go.
    """
    if not output:
        if isinstance(result, bytes):
            raise GloError(f"a {what} is binary", hint=f"write it to a file: -o kernel.{what}")
        sys.stdout.write(result)
        return
    try:
        Path(output).write_bytes(result if isinstance(result, bytes) else result.encode())
    except OSError as error:
        raise GloError(f"cannot write {output}: {error.strerror}") from None


def _stage_of(target: str) -> str:
    kind = target.partition(":")[0]
    if kind not in DEFAULT_STAGE:
        raise GloError(f"unknown target {target}", hint="targets are cpu, cuda:80, cuda:90, cuda:100, hip:gfx942")
    return DEFAULT_STAGE[kind]


def _default_target(stage: str) -> str:
    return "hip:gfx942" if stage in ("amdgcn", "hsaco") else "cuda:90"


def _machine_code(loss: Loss, stage: str, target: str, classes: int, dtype: str) -> bytes | str:
    from glo_dsl.passes.pipeline import whole_program
    from glo_dsl.runtime.triton_compile import compile_triton

    return compile_triton(whole_program(loss), target, stage, dtype, classes)


def _ahead_of_time(loss: Loss, target: str, classes: int, dtype: str, folder: Path) -> None:
    """The cubin, and how to launch it, into a directory, which is made if it has to be."""
    from glo_dsl.passes.pipeline import whole_program
    from glo_dsl.runtime.aot import as_json, compile_ahead, header

    kernel, code = compile_ahead(whole_program(loss), target, dtype, classes)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise GloError(f"cannot make {folder}: {error.strerror}") from None
    write(code, folder / f"{loss.name}.cubin", "cubin")
    write(header(kernel, glo_dsl.__version__), folder / f"{loss.name}.h", "header")
    write(as_json(kernel), folder / f"{loss.name}.json", "JSON")


def _resources(loss: Loss, targets: str, classes: int, dtype: str) -> str:
    from glo_dsl.passes.pipeline import whole_program
    from glo_dsl.runtime.resources import resources, table

    program, names = whole_program(loss), [target.strip() for target in targets.split(",")]
    return table((name, resources(program, name, dtype, classes)) for name in names)


def _traffic(loss: Loss, dtype: str) -> str:
    from glo_codegen.traffic import BYTES, emit_traffic
    from glo_dsl.passes.pipeline import whole_program

    if dtype not in BYTES:
        raise GloError(f"unknown dtype {dtype}", hint=did_you_mean(dtype, BYTES) or f"choose one of {', '.join(BYTES)}")
    return emit_traffic(whole_program(loss), dtype)


def _tree(loss: Loss) -> str:
    from lark import Tree

    from glo_dsl.lang.syntax import parse

    def lines() -> Iterator[str]:
        stack: list[tuple[object, int]] = [(parse(loss.source), 0)]
        while stack:
            node, depth = stack.pop()
            if isinstance(node, Tree):
                yield "  " * depth + str(node.data)
                stack.extend((child, depth + 1) for child in reversed(node.children))
            elif node is not None:
                yield "  " * depth + str(node)

    return "\n".join(lines()) + "\n"


def _ir(loss: Loss) -> str:
    """One line for each distinct node, arguments first."""
    from glo_dsl.ir.expr import Apply, Hole, walk
    from glo_dsl.lang.show import show

    numbers: dict[object, int] = {}
    lines = []
    for number, node in enumerate(walk((loss.expr,))):
        numbers[node] = number
        head = node.op.name if isinstance(node, Apply) else f"?{node.name}" if isinstance(node, Hole) else show(node)
        arguments = ", ".join(f"%{numbers[a]}" for a in node.args)
        lines.append(f"%{number} = {head}{f'({arguments})' if node.args else ''}: {node.type}")
    return "\n".join(lines) + "\n"


def _gradient(loss: Loss) -> str:
    from glo_dsl.lang.show import show
    from glo_dsl.passes.pipeline import derive, differentiable

    derived = derive(loss, [v.name for v in differentiable(loss)])
    lines = [f"{loss.name} = {show(derived.value)}"]
    lines += [f"d {loss.name} / d {v.name} = {show(g)}" for v, g in derived.gradients.items()]
    return "\n".join(lines) + "\n"


def _latex(loss: Loss) -> str:
    from glo_dsl.lang.latex import derivative_latex, latex
    from glo_dsl.passes.pipeline import derive, differentiable

    wanted = [] if loss.holes else [v.name for v in differentiable(loss)]
    gradients = derive(loss, wanted).gradients if wanted else {}
    return "\n\n".join([latex(loss), *(derivative_latex(loss, v, g) for v, g in gradients.items())]) + "\n"


def _program(loss: Loss) -> str:
    from glo_codegen.listing import emit_listing
    from glo_dsl.passes.pipeline import whole_program

    return emit_listing(whole_program(loss))


def _triton(loss: Loss) -> str:
    from glo_codegen.triton import emit_triton
    from glo_dsl.passes.pipeline import whole_program

    return emit_triton(whole_program(loss))


def _c(loss: Loss) -> str:
    from glo_codegen.c import emit_c
    from glo_dsl.passes.pipeline import whole_program

    return emit_c(whole_program(loss))


def _torch(loss: Loss) -> str:
    from glo_codegen.torch_ import emit_torch
    from glo_dsl.passes.pipeline import whole_program

    return emit_torch(whole_program(loss))


TEXTS.update(
    tree=_tree, ir=_ir, gradient=_gradient, latex=_latex, program=_program, triton=_triton, c=_c, torch=_torch
)  # fmt: skip
