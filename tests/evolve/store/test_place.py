"""Where a study may lie, by tables of mounts as Linux writes them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glo_dsl.evolve.store.place import NETWORK, file_system, network_file_system

MOUNTS = r"""/dev/vda / ext4 rw,relatime 0 0
proc /proc proc rw 0 0
server:/home /home nfs4 rw,vers=4.2 0 0
/dev/sdb /home/scratch xfs rw 0 0
user@host:/ /mnt/my\040disk\134x fuse.sshfs rw 0 0
10.0.0.1@tcp:/fs /lustre lustre rw 0 0
C:\134 /mnt/c 9p rw 0 0
//server/share /srv cifs rw 0 0
/dev/sdc /srv ext4 rw 0 0

odd line
"""


@pytest.mark.parametrize(
    ("directory", "kind"),
    [
        ("/", "ext4"), ("/tmp/study", "ext4"), ("/home", "nfs4"), ("/home/me/study", "nfs4"), ("/homely", "ext4"),
        ("/home/scratch/study", "xfs"), (r"/mnt/my disk\x/study", "fuse.sshfs"), ("/mnt/my", "ext4"),
        ("/lustre/a", "lustre"), ("/mnt/c/study", "9p"), ("/srv/study", "ext4"),
    ],
)  # fmt: skip
def test_kinds(directory: str, kind: str) -> None:
    assert file_system(Path(directory), MOUNTS) == kind


def test_what_computers_share_is_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    table = tmp_path / "mounts"
    monkeypatch.setattr("glo_dsl.evolve.store.place._MOUNTS", table)
    assert network_file_system(Path("/home/me")) is None  # no table, as on a Mac
    table.write_text(MOUNTS)
    found = {place: network_file_system(Path(place)) for place in ("/home/me", "/lustre/x", "/mnt/c/x", "/tmp/x")}
    assert found == {"/home/me": "nfs4", "/lustre/x": "lustre", "/mnt/c/x": None, "/tmp/x": None}


def test_this_machine_is_read() -> None:
    assert network_file_system(Path("/proc")) is None
    assert file_system(Path("/proc/self"), Path("/proc/self/mounts").read_text()) == "proc"


@given(st.text(st.sampled_from("abc \\/\n048"), max_size=60), st.sampled_from(sorted(NETWORK)))
def test_any_table_can_be_read(noise: str, kind: str) -> None:
    assert file_system(Path("/x/y"), f"{noise}\n/dev /x {kind} rw 0 0") == kind
