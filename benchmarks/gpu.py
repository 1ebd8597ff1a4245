"""Everything on a GPU: right first, then how fast, against a copy, eager PyTorch, torch.compile, Liger and quack.

See README.md in this folder. On a machine without a GPU, `--rehearse` runs every line but the device's timers.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "codegen")]  # this checkout, installed or not

NO_GPU = 2
OUT = HERE / "results" / "gpu.json"


def main(arguments: list[str] | None = None) -> int:
    options = parsed(arguments)
    if options.rehearse:
        os.environ["TRITON_INTERPRET"] = "1"  # before anything imports triton
    import torch

    if not options.rehearse and not torch.cuda.is_available():
        print("gpu.py: no CUDA device here; --rehearse runs the script on the CPU, on tiny shapes", file=sys.stderr)
        return NO_GPU
    from on_gpu.driver import Builders, drive
    from on_gpu.report import Report
    from on_gpu.sections import ALL
    from on_gpu.setting import Setting, command, environment

    unknown = set(options.only) - {section.name for section in ALL}
    if unknown:
        names = ", ".join(section.name for section in ALL)
        print(f"gpu.py: no section {', '.join(sorted(unknown))}; there are: {names}", file=sys.stderr)
        return NO_GPU
    chosen = [section for section in ALL if not options.only or section.name in options.only]
    setting = Setting(options.rehearse, options.compile if options.rehearse else not options.no_compile)
    stretch = options.seconds / sum(s.seconds for s in chosen) if options.seconds else 1
    chosen = [replace(section, seconds=stretch * section.seconds) for section in chosen]
    begin, facts = time.monotonic(), device_facts(setting)
    print(*(f"{key}: {value}" for key, value in facts.items()), sep="\n", flush=True)
    out = options.out if options.out else None if options.rehearse else OUT
    report = Report(facts, out)
    with tempfile.TemporaryDirectory(prefix="glo-gpu-") as folder:
        log = Path(folder) / "log"
        builders = Builders(setting, [s for s in chosen if s.ahead], log)

        def begun(section: Any) -> None:
            if section.timed:
                builders.finish(max(0.0, options.wait - (time.monotonic() - begin)))
            report.begun(section)

        def ended(section: Any, how: dict[str, Any]) -> None:
            report.ended(section, how)
            if how.get("dead"):
                print(log.read_text(errors="replace")[-1500:], file=sys.stderr)

        try:
            drive(chosen, command("worker", setting), environment(setting), log, begun, report.keep, ended)
        finally:
            builders.finish(0)
            report.fact("seconds", round(time.monotonic() - begin, 1))
            report.fact("log", log.read_text(errors="replace")[-4000:] if log.exists() else "")
    print(f"\n{time.monotonic() - begin:.0f} s in all" + (f"; {out}" if out else ""))
    return 0


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="the JSON; by default results/gpu.json, and none in a rehearsal")
    parser.add_argument("--only", action="append", default=[], metavar="SECTION", help="only this one; may be repeated")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    parser.add_argument(
        "--rehearse", action="store_true", help="on the CPU, in Triton's interpreter; times mean nothing"
    )
    parser.add_argument("--compile", action="store_true", help="torch.compile takes part in a rehearsal too")
    parser.add_argument("--seconds", type=float, help="how long the sections may take together; by default under 480")
    parser.add_argument("--wait", type=float, default=150.0, metavar="SECONDS",
                        help="until then kernels may be built ahead, before the first time is taken")  # fmt: skip
    return parser.parse_args(arguments)


def device_facts(setting: Any) -> dict[str, Any]:
    """What the figures depend on."""
    import torch
    import triton
    from measuring import machine

    facts: dict[str, Any] = {"rehearsal": setting.rehearsal, "torch.compile": setting.compiles, **machine()}
    facts |= {"triton": triton.__version__, "cuda": torch.version.cuda}
    facts |= {name: version(name) for name in ("liger-kernel", "quack-kernels")}
    if not setting.rehearsal:
        device = torch.cuda.get_device_properties(0)
        facts |= {"gpu": device.name, "gpu memory": device.total_memory, "l2": device.L2_cache_size}
        facts["multiprocessors"] = device.multi_processor_count
    return facts


def version(package: str) -> str | None:
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


if __name__ == "__main__":
    sys.exit(main())
