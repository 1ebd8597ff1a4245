from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("tensorboard")

from glo_dsl.evolve.writers.tensorboard_ import TensorBoard
from tests.evolve.writers import reading


def test_a_full_disk_costs_what_it_costs(tmp_path: Path) -> None:
    """Half a record at the end of a file hides nothing that is written later."""
    writer = TensorBoard(tmp_path, None)
    writer.figures(1, {"best": 0.1})
    writer.figures(2, {"best": 0.2})
    (file,) = (tmp_path / "tensorboard").iterdir()
    file.write_bytes(file.read_bytes()[:-5])
    writer._path = Path("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        writer.figures(3, {"best": 0.3})
    writer.figures(4, {"best": 0.4})
    writer.parameters({"task": "digits"})
    assert reading.tensorboard(tmp_path, "tensorboard").figures == {"best": [(1, 0.1), (4, 0.4)]}
