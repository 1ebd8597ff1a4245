"""Runs commands in forks of one process that has imported what they need: seconds of imports are paid once.

So are the tables of parsers and rules, and the reading of all of Triton that tells which one it is. Reads a JSON line
`{"command", "words", "cwd", "stdout", "stderr"}` and answers with the exit code, again and again. A fork is as fresh as
a new process but for those; that a command imports what it needs, and not too much, is tested on the installed one.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import traceback
from importlib import import_module
from importlib.metadata import entry_points


def answer(command: str, words: list[str], cwd: str, stdout: str, stderr: str) -> int:
    """The exit code of a command, its output in two files."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.chdir(cwd)
            for path, number in ((os.devnull, 0), (stdout, 1), (stderr, 2)):
                os.dup2(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), number)
            sys.argv = [command, *words]
            (entry,) = entry_points(group="console_scripts", name=command)
            code = _code_of(entry.load())
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _code_of(main: object) -> int:
    """What the process would exit with."""
    assert callable(main)
    try:
        main()
    except SystemExit as stop:
        if isinstance(stop.code, str):
            print(stop.code, file=sys.stderr)
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    return 0


def prepare() -> None:
    """What most commands need, and each would find anew."""
    import triton

    import glo_dsl
    from glo_dsl.lang.format import format_text
    from glo_dsl.passes.pipeline import whole_program

    for module in ("torch", "triton.compiler", "pydantic", "glo_dsl.cli.main"):
        import_module(module)
    triton.runtime.cache.triton_key()  # it reads all of Triton
    text = "loss f(z: real[C], t: class[C]; k = 1) = k * softmax(z)[t]"
    whole_program(glo_dsl.loads(format_text(text))["f"])
    gc.freeze()  # a collector that looks at what was there writes to it, and each fork would get copies


def serve() -> None:
    """Answers until there is nothing more to read."""
    prepare()
    replies = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        print(answer(**json.loads(line)), file=replies, flush=True)


if __name__ == "__main__":
    serve()
