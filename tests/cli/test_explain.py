from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Run

EXAMPLES = Path(__file__).parents[2] / "examples"
FOCAL = """\
Focal loss. Lin et al. 2017, arXiv:1708.02002, eq. 4

loss focal(z: real[C], t: class[C]; gamma = 2 in [0, 8])

name   type       one for each      domain      default
z      real[C]    sample and class  any number
t      class[C]   sample            0 to C - 1
gamma  parameter  call              [0, 8]      2

range    within [0, inf)
kinks    none
jumps    none
passes   3 over each row, for the value and all derivatives

focal = -(log_softmax(z)[t] * (1 - softmax(z)[t]) ^ gamma)

d focal / d z =
  let s1 = 1 - softmax(z)[t],
"""


def explained(run: Run, *words: object) -> str:
    """What is printed, without the spaces that a table puts at the ends of its lines."""
    done = run("glo", "explain", *words)
    assert done.returncode == 0 and done.stderr == b"", done.stderr.decode()
    return "".join(f"{line.rstrip()}\n" for line in done.stdout.decode().splitlines())


def test_everything_about_a_loss(run: Run) -> None:
    text = explained(run, EXAMPLES / "focal.glo")
    assert text.startswith(FOCAL)
    assert "\nd focal / d gamma =\n" in text and "\\" not in text
    assert all(len(line) <= 100 for line in text.splitlines())


def test_latex_comes_after_the_rest(run: Run) -> None:
    plain, both = (explained(run, EXAMPLES / "focal.glo", *words) for words in ((), ("--latex",)))
    assert both.startswith(plain)
    assert both[len(plain) :].startswith("\n\\mathrm{focal}(z, t; \\gamma) = -\\log \\operatorname{softmax}(z)_{t}")
    assert r"\frac{\partial\, \mathrm{focal}}{\partial z_{c}} = " in both
    assert r"\frac{\partial\, \mathrm{focal}}{\partial \gamma} = " in both


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.glo")), ids=lambda f: f.stem)
def test_every_example_is_explained(run: Run, file: Path) -> None:
    text = explained(run, file, "--latex")
    assert f"loss {file.stem}(" in text and r"\mathrm{" in text


def test_all_losses_of_a_file_or_one(run: Run, tmp_path: Path) -> None:
    (tmp_path / "two.glo").write_text("# One.\nloss a(x: real) = abs(x)\n# Two.\nloss b(x: real) = max(x, 0) ^ 2\n")
    both = explained(run, "two.glo")
    assert both.index("One.") < both.index("\n----") < both.index("Two.") and both.count("-" * 100) == 1
    one = explained(run, "two.glo", "--loss", "b")
    assert one.startswith("Two.\n\nloss b(x: real)\n") and "One." not in one


TABLE = """\
loss f(q: prob[C], w: shared real[C] in [0, 1], m: bool, k: bool[C], x: real in (0, 1]; a = 1e-3) =
  if m then sum(if k then q * w else 0) else abs(x) + relu(a) + floor(x) + max(q)
"""


def test_types_axes_domains_and_what_is_not_smooth(run: Run, tmp_path: Path) -> None:
    (tmp_path / "f.glo").write_text(TABLE)
    text = explained(run, "f.glo")
    head = "loss f(q: prob[C], w: shared real[C] in [0, 1], m: bool, k: bool[C], x: real in (0, 1]; a = 0.001)"
    assert " ".join(text.split()).startswith(head)
    first = text.splitlines().index("") + 2
    rows = [line.split(maxsplit=2) for line in text.splitlines()[first : first + 6]]
    assert [(name, kind) for name, kind, _ in rows] == [
        ("q", "prob[C]"), ("w", "shared"), ("m", "bool"), ("k", "bool[C]"), ("x", "real"), ("a", "parameter"),
    ]  # fmt: skip
    assert [" ".join(rest.split()) for _, _, rest in rows] == [
        "sample and class [0, 1]", "real[C] class, the same for all samples [0, 1]", "sample true, false",
        "sample and class true, false", "sample (0, 1]", "call any number 0.001",
    ]  # fmt: skip
    assert "\nkinks    relu, max\njumps    if, floor (an if has none where its sides meet)\n" in text


def test_a_long_head_is_broken(run: Run, tmp_path: Path) -> None:
    names = [f"quite_a_long_name_{n}" for n in range(8)]
    (tmp_path / "f.glo").write_text(f"loss f({', '.join(f'{n}: real' for n in names)}) = square({' + '.join(names)})")
    text = explained(run, "f.glo")
    assert text.startswith("loss f(quite_a_long_name_0: real, ") and "\n       quite_a_long_name_3: real, " in text
    assert all(len(line) <= 100 for line in text.splitlines())


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("loss f(z: real[C], k: bool[C]) = sum(?g(z, exp(z)))",
         ["\nhole     ?g, an expression over z, exp(z)\n", "\nf = sum(?g(z, exp(z)))\n", r"g_{?}(z_{c}, e^{z_{c}})"]),
        ("loss f(p: real) = square(p) per 1 + abs(p)", ["\ndivisor  1 + abs(p) for each row of a mean\n"]),
        ("loss f(p: real, y: real) = y * stop(trigamma(1 + p * p))", ["\nd f / d p = 0\n"]),
        ("loss f(p: real, y: real) = square(y) * trigamma(1 + p * p)",
         ["\nd f / d p: no derivative of trigamma is known (stop(trigamma(...)) is taken as constant)\n",
          "\nd f / d y = ", "\npasses   cannot be compiled: no derivative of trigamma is known\n"]),
        ("loss f(t: class[C], w: real) = square(w)", ["cannot be compiled: no input of f tells the number of classes"]),
        ("loss f(p: real) = square(p)", ["\npasses   none: there are no rows"]),
        ("loss f(k: bool[C], p: real) = square(p) * sum(if k then 1 else 0)", ["\npasses   1 over each row"]),
    ],
    ids=["hole", "per", "stop", "unknown derivative", "no class count", "no rows", "scalars after the pass"],
)  # fmt: skip
def test_what_can_be_explained_is(run: Run, tmp_path: Path, text: str, parts: list[str]) -> None:
    (tmp_path / "f.glo").write_text(text)
    done = run("glo", "explain", "f.glo", "--latex")
    assert done.returncode == 0
    for part in parts:
        assert part in done.stdout.decode()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("nothing.glo",), 1, "cannot read nothing.glo"),
        ((EXAMPLES / "focal.glo", "--loss", "focl"), 1, "did you mean focal?"),
        ((EXAMPLES / "focal.glo", "--latx"), 2, "--latex"),
        (("bad.glo",), 1, "bad.glo:1:19: unknown name q"),
        (("empty.glo",), 1, "empty.glo has no losses"),
        ((), 2, "Missing argument"),
    ],
)
def test_mistakes(run: Run, tmp_path: Path, words: tuple[object, ...], code: int, message: str) -> None:
    (tmp_path / "bad.glo").write_text("loss f(x: real) = q")
    (tmp_path / "empty.glo").write_text("def f(x) = x")
    done = run("glo", "explain", *words)
    assert done.returncode == code and message in done.stderr.decode(), done.stderr.decode()
    assert done.stdout == b""
