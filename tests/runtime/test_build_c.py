"""Which C compiler is taken, what it is asked, and what becomes of one that cannot do it all."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

import glo_dsl as glo
from glo_codegen.c import translation_unit
from glo_dsl.passes.pipeline import whole_program
from glo_dsl.runtime import build_c
from glo_dsl.runtime.build_c import CLANG, COMMON, FULL, LOOPS, NoCompiler

pytestmark = pytest.mark.usefixtures("forgetful")

Script = Callable[..., Path]
LOSSES = ("cross_entropy", "focal", "brier", "poly1")
EMPTY = "int nothing(void) { return 7; }"


@pytest.fixture
def real() -> str:
    """A compiler that is here."""
    try:
        path = build_c.compiler()[0][0]
    except NoCompiler:
        pytest.skip("no C compiler")
    build_c.compiler.cache_clear()
    return path


@pytest.fixture
def script(tmp_path: Path) -> Script:
    def write(body: str, name: str = "cc") -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        return path

    return write


@pytest.fixture
def builder(real: str, script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """A compiler of this version that takes all flags but some, and the command lines that it is called with."""

    def build(version: str, refuses: str) -> list[str]:
        log = tmp_path / "log"
        log.write_text("")
        body = f"""[ "$1" = --version ] && echo "{version}" && exit
            echo "$*" >> {log}
            for a in "$@"; do shift; case "$a" in {refuses}) exit 1;;
                -fopenmp|-fvect*|-Xclang|-target-feature|+prefer*) ;; *) set -- "$@" "$a";; esac; done
            unset CC
            exec {real} "$@" """
        monkeypatch.setenv("CC", str(script(body)))
        build_c.compiler.cache_clear()
        assert build_c.load_c(f"{EMPTY} // {tmp_path} {version}", False).nothing() == 7
        return log.read_text().splitlines()

    return build


def test_a_compiler_may_have_arguments(real: str, script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    wrapper = script('exec "$@"', "ccache")
    monkeypatch.setenv("CC", f"{wrapper} {real} '-DGLO_ANSWER=6 * 7'")
    command, version = build_c.compiler()
    assert command == (str(wrapper), real, "-DGLO_ANSWER=6 * 7")
    assert version == subprocess.run([real, "--version"], capture_output=True, text=True).stdout.splitlines()[0]
    text = "int answer(void) { return GLO_ANSWER; }"
    assert build_c.load_c(text, False).answer() == 42
    for memory in (build_c.compiler, build_c.load_c):
        memory.cache_clear()
    monkeypatch.setenv("CC", f"{wrapper} {real} -DGLO_ANSWER=43")
    assert build_c.load_c(text, False).answer() == 43  # not what other arguments made


def test_a_path_may_have_blanks(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    path = script("echo of blanks", "my tools/cc")
    monkeypatch.setenv("CC", f" {path} ")
    assert build_c.compiler() == ((str(path),), "of blanks")


@pytest.mark.parametrize("wish", ["/nonexistent/gcc", "no-such-compiler -m64", "'", "''", "gcc '"])
def test_a_wish_that_cannot_be_met_is_said_and_nothing_else_taken(wish: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", wish)
    with pytest.raises(NoCompiler, match=r"^CC=.*(names no program|cannot be read)"):
        build_c.compiler()
    fn = glo.compile(glo.zoo["cross_entropy"])
    z, t = torch.randn(4, 3), torch.tensor([0, 1, 2, 0])
    with pytest.warns(UserWarning, match=r"CC=.* several times slower"):
        torch.testing.assert_close(fn(z, t), F.cross_entropy(z, t))


@pytest.mark.parametrize("present", ["cc", "gcc", "clang"])
def test_without_a_wish_the_first_of_the_usual_names(
    present: str, script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("cc", "gcc", "clang")[("cc", "gcc", "clang").index(present) :]:
        script("echo some version", name)
    monkeypatch.setenv("CC", "  ")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert build_c.compiler() == ((str(tmp_path / present),), "some version")


def test_a_program_that_cannot_be_run_is_no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "cc"
    path.write_bytes(b"\x7fELF but no more")
    path.chmod(0o755)
    monkeypatch.setenv("CC", str(path))
    with pytest.raises(NoCompiler, match="could not be run"):
        build_c.compiler()


def test_what_gcc_builds_at_once_is_built_once(builder: Callable[..., list[str]]) -> None:
    (only,) = builder("gcc (Debian) 12", "nothing")
    assert " ".join((*COMMON, *build_c.VARIANTS[0], *LOOPS, *FULL)) in only


def test_clang_is_not_asked_what_it_refuses(builder: Callable[..., list[str]]) -> None:
    (only,) = builder("Debian clang version 19.1.7", "-fvect-cost-model=*")
    assert " ".join(CLANG) in only


@pytest.mark.parametrize(("version", "refuses"), [("Someone's C 1.0", LOOPS[0]), ("Someone's clang 1.0", CLANG[0])])
def test_another_compiler_may_refuse_the_flags_of_either(
    version: str, refuses: str, builder: Callable[..., list[str]]
) -> None:
    *refused, last = builder(version, refuses)
    assert len(refused) == len(build_c.VARIANTS) and all(refuses in line for line in refused)
    assert refuses not in last and " ".join(build_c.VARIANTS[0]) in last


def test_a_runtime_of_openmp_that_is_missing_shows_when_the_library_is_loaded(
    real: str, script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clang links nothing that the linker could miss: the library has a symbol that nobody defines."""
    header = tmp_path / "runtime.h"
    header.write_text("extern int no_such_runtime(void); int (*const glo_needs)(void) = no_such_runtime;\n")
    body = f'for a in "$@"; do [ "$a" = -fopenmp ] && set -- "$@" -include {header}; done; exec {real} "$@"'
    monkeypatch.setenv("CC", str(script(body)))
    fn = glo.compile(glo.loads("loss bare(z: real[C], t: class[C]) = -log(softmax(z)[t])")["bare"], "c")
    z, t = torch.randn(500, 100), torch.randint(0, 100, (500,))
    torch.testing.assert_close(fn(z, t), F.cross_entropy(z, t))


def test_a_compiler_whose_libraries_cannot_be_loaded_is_none(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", str(script("exit 0")))
    with pytest.raises(NoCompiler, match=r"could not build a kernel:\n.*file too short"):
        build_c.load_c(EMPTY, False)


def test_a_library_that_loads_no_more_is_built_again(monkeypatch: pytest.MonkeyPatch) -> None:
    build, built = build_c._build, list[Path]()

    def elsewhere(*args: object) -> None:
        target = args[-1]
        assert isinstance(target, Path)
        built.append(target)
        if len(built) == 1:
            target.write_text("linked with what was there then")
        else:
            build(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(build_c, "_build", elsewhere)
    for _ in range(2):
        assert build_c.load_c(f"{EMPTY} // moved", False).nothing() == 7
        build_c.load_c.cache_clear()
    assert len(built) == 2


@pytest.fixture
def clang(monkeypatch: pytest.MonkeyPatch) -> str:
    path = shutil.which("clang")
    if path is None:
        pytest.skip("no clang: make clang")
    monkeypatch.setenv("CC", path)
    return path


@pytest.mark.parametrize("name", LOSSES)
def test_clang_builds_the_losses(name: str, clang: str) -> None:
    loss = glo.zoo[name]
    mine, torchs = glo.compile(loss, "c"), glo.compile(loss, "torch")
    for shape in ((300, 10), (300, 70)):
        z, t = torch.randn(shape, requires_grad=True), torch.randint(0, shape[1], shape[:1])
        for double in (False, True):
            x = z.double() if double else z
            for found, truth in zip(mine.value_and_grad(x, t), torchs.value_and_grad(x.double(), t)):
                torch.testing.assert_close(found, truth, check_dtype=False)
    assert build_c.compiler()[0] == (clang,) and "clang" in build_c.compiler()[1]


def has_maximum(clang: str) -> bool:
    text = "#if !__has_builtin(__builtin_elementwise_maximum)\n#error\n#endif\n"
    return subprocess.run([clang, "-E", "-x", "c", "-"], input=text.encode(), capture_output=True).returncode == 0


@pytest.mark.parametrize("double", [False, True], ids=["float32", "float64"])
def test_clang_makes_vectors_of_every_loop_that_is_to_be_one(double: bool, clang: str, tmp_path: Path) -> None:
    if not has_maximum(clang):
        pytest.skip("clang before 20 takes the largest of a row one by one")
    text = translation_unit([whole_program(glo.zoo[name]) for name in LOSSES])
    flags = [f for f in (*COMMON, *FULL) if f != "-w"] + ["-fopenmp-simd", "-Werror=pass-failed"]
    command = [clang, *flags, *["-DGLO_DOUBLE"] * double, "-x", "c", "-", "-o", str(tmp_path / "k.so")]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
