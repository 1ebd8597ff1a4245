"""A process that builds its part of the kernels that sections need, so that caches have them when time is measured."""

from __future__ import annotations

import sys

from on_gpu.sections import ALL
from on_gpu.setting import read_setting


def main() -> None:
    setting, (names, part, parts) = read_setting(sys.argv[1:])
    chosen = [section for section in ALL if section.ahead and section.name in names.split(",")]
    tasks = [task for section in chosen for task in section.ahead(setting)]
    for task in tasks[int(part) :: int(parts)]:
        try:
            task()
        except Exception as error:  # the section itself will say so
            print(f"{type(error).__name__}: {error}"[:200], file=sys.stderr)
            setting.wait()


if __name__ == "__main__":
    main()
