"""The process that runs sections, as the driver names them on its input; what they find goes to its output as JSON."""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from dataclasses import asdict
from typing import Any, TextIO

from on_gpu.sections import ALL
from on_gpu.setting import Result, Setting, read_setting

BROKEN = 3
"""How a process ends that has lost its hold of the device."""


def run(name: str, seconds: float, setting: Setting, out: TextIO) -> None:
    """A section: its results as they come, and how it ended."""
    section = next(s for s in ALL if s.name == name)
    deadline, results, kept = time.monotonic() + seconds, section.run(setting), list[Result]()
    ended: dict[str, Any] = {"ended": "complete"}
    try:
        for result in results:
            if result is not None:
                kept.append(result)
                say(out, {"result": asdict(result)})
            if time.monotonic() > deadline:
                ended = {"ended": "out of time"}
                break
    except Exception as error:
        ended = {"ended": f"failed: {type(error).__name__}: {error}"[:400], "trace": traceback.format_exc(limit=-4)}
    finally:
        results.close()
    for result in section.summary(kept) if section.summary else ():
        say(out, {"result": asdict(result)})
    say(out, ended)
    try:
        setting.wait()
        setting.free()
    except RuntimeError:
        os._exit(BROKEN)


def say(out: TextIO, event: dict[str, Any]) -> None:
    print(json.dumps(event), file=out, flush=True)


def main() -> None:
    setting, _ = read_setting(sys.argv[1:])
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print goes elsewhere
    for line in sys.stdin:
        order = json.loads(line)
        run(order["section"], order["seconds"], setting, out)


if __name__ == "__main__":
    main()
