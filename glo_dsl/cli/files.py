"""`.glo` files as the commands read them: warnings to standard error, errors as the end."""

from __future__ import annotations

import sys
from pathlib import Path

import glo_dsl
from glo_dsl.errors import GloError
from glo_dsl.lang.loss import Loss
from glo_dsl.passes.lint import diagnose


def read_losses(file: Path) -> dict[str, Loss]:
    """The losses of a file; what is suspicious in it is printed.

    Raises:
        GloError: the file cannot be read, or something in it is wrong.
    """
    module = diagnose(glo_dsl.read(file), str(file), file)
    if module.warnings:
        print("\n\n".join(map(str, module.warnings)), file=sys.stderr)
    if module.errors:
        raise GloError.of(module.errors)
    return module.losses
