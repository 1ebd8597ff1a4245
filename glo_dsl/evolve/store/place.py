"""Where a study may lie: a directory on a disk of this computer."""

from __future__ import annotations

import re
from pathlib import Path

from glo_dsl.errors import GloError

FILE = "study.sqlite3"

NETWORK = frozenset({
    "nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "fuse.smbnetfs", "ncpfs", "afs", "coda", "davfs", "fuse.davfs",
    "ceph", "fuse.ceph", "fuse.ceph-fuse", "glusterfs", "fuse.glusterfs", "lustre", "gpfs", "beegfs", "beegfs_nodev",
    "pvfs2", "orangefs", "panfs", "wekafs", "ocfs2", "gfs2", "fuse.moosefs", "fuse.mfs", "fuse.lizardfs",
    "fuse.seaweedfs", "fuse.juicefs", "fuse.sshfs", "fuse.rclone", "fuse.s3fs", "fuse.goofys", "fuse.mount-s3",
    "fuse.gcsfuse", "fuse.blobfuse", "fuse.blobfuse2",
})  # fmt: skip
"""File systems that several computers write to. Not 9p and virtiofs, which hand a folder of the host to its one guest:
there SQLite itself says whether memory can be shared."""

_MOUNTS = Path("/proc/self/mounts")


def directory_of_study(directory: Path, make: bool = False) -> Path:
    """The directory without links; with `make`, one that a study may be written in, made if it is not there.

    Raises:
        GloError: it is not there, is a file, cannot be made or looked into, or is not fit for writing.
    """
    try:
        found = directory.resolve()
        if make:
            refuse_network(found)
            found.mkdir(parents=True, exist_ok=True)
        if not found.exists():
            raise GloError(f"there is no directory {directory}", hint="name the directory that a search wrote")
        if not found.is_dir():
            raise GloError(f"{directory} is a file, and a study is a directory", hint="name the directory around it")
    except FileExistsError:
        raise GloError(f"{directory} is a file, and a study is a directory", hint="choose another name") from None
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        reason = getattr(error, "strerror", None) or str(error)
        raise GloError(f"{directory} cannot be used: {reason}", hint="choose a directory that you may write") from None
    return found


def network_file_system(directory: Path) -> str | None:
    """The kind of file system that `directory` lies on if computers share it, or None."""
    try:
        mounts = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None
    kind = file_system(directory, mounts)
    return kind if kind in NETWORK else None


def file_system(directory: Path, mounts: str) -> str:
    r"""The kind of file system of a directory, by a table of mounts.

    >>> file_system(Path("/data/my runs/a"), "d / ext4 rw 0 0\ns:/x /data/my\\040runs nfs4 rw 0 0")
    'nfs4'
    """
    kind, length = "", -1
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = Path(re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), fields[1]))
        if directory.is_relative_to(point) and len(point.parts) >= length:  # of two on one place the later is seen
            kind, length = fields[2], len(point.parts)
    return kind


def refuse_network(directory: Path) -> None:
    """Raises GloError where a study could be damaged by what it lies on."""
    if kind := network_file_system(directory):
        raise GloError(
            f"{directory} is on a network file system ({kind}), where SQLite cannot keep a study safe",
            hint="choose a directory on a disk of this computer, and copy the study when the search has ended",
        )
