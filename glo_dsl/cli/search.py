"""`glo search`, `glo resume`, `glo tune` and `glo front`: better losses, found, gone on with, tuned and printed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from glo_dsl.cli.compile import choose
from glo_dsl.cli.files import read_losses
from glo_dsl.errors import GloError
from glo_dsl.evolve.writers.named import check

File = Annotated[Path, typer.Argument(help="A .glo file with a hole, like examples/glo.glo.", show_default=False)]
Tuned = Annotated[Path, typer.Argument(help="A .glo file with a loss that has parameters.", show_default=False)]
LossName = Annotated[str, typer.Option(help="Which loss of the file; needed when there are several.")]
TaskName = Annotated[
    str | None, typer.Option(help="What to train on: digits, digits-noisy, wine, mnist, ... or module:factory.")
]
Fraction = Annotated[float | None, typer.Option(help="How much of the training data is used.")]
Data = Annotated[Path | None, typer.Option(help="The folder with data sets.")]
Noise = Annotated[float | None, typer.Option(help="Share of wrong labels in training and validation data.")]
Strategy = Annotated[str | None, typer.Option(help="islands, nsga2; glo and taylor, which are the papers'.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="A setting, such as population=40; as often as wished.")]
Order = Annotated[int | None, typer.Option(help="Of taylor's polynomials, 2 to 9.", min=2, max=9)]
Invariant = Annotated[str | None, typer.Option(help="What taylor wants at the null epoch: paper, exact or off.")]
Trainings = Annotated[int | None, typer.Option(help="Networks that the strategy may train.", min=1)]
Seed = Annotated[int | None, typer.Option(help="All random choices follow from it.", min=0)]
Fresh = Annotated[int | None, typer.Option(help="Fresh seeds in the final comparison.", min=2)]
Device = Annotated[str | None, typer.Option(help="What networks are trained on: cpu, or a GPU, such as cuda.")]
Toml = Annotated[Path | None, typer.Option(help="A TOML file with settings; what is said here comes before it.")]
Out = Annotated[Path, typer.Option(help="Directory for the study and what is found.")]
ExecutorName = Annotated[str, typer.Option(help="Where to train: in-process, processes or ray.")]
Workers = Annotated[int | None, typer.Option(help="How many at a time; one for each core by default.", min=1)]
TimeLimit = Annotated[float | None, typer.Option(help="Seconds after which a unit of work is killed.")]
Log = Annotated[
    list[str] | None, typer.Option(help="Follow it from elsewhere too: tensorboard, mlflow or wandb; may be repeated.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print the final table only.")]
Address = Annotated[str | None, typer.Option(help="Of a Ray cluster that runs, such as auto.")]


def search_command(
    file: File, loss: LossName = "", task: TaskName = None, fraction: Fraction = None, data: Data = None,
    noise: Noise = None, strategy: Strategy = None, settings: Set = None, order: Order = None,
    invariant: Invariant = None, trainings: Trainings = None, fresh_seeds: Fresh = None, seed: Seed = None,
    device: Device = None, config: Toml = None, out: Out = Path("glo-out"),
    executor: ExecutorName = "in-process", workers: Workers = None,
    time_limit: TimeLimit = None, address: Address = None, quiet: Quiet = False, log: Log = None,
) -> None:  # fmt: skip
    """Search for a better loss, and say honestly whether it is one. Ctrl-C leaves a study that `glo resume` goes on
    with."""
    given = _given(task, fraction, data, noise, trainings, fresh_seeds, seed, device)
    options = {name: value for name, value in (("order", order), ("invariant", invariant)) if value is not None}
    where = (executor, workers, time_limit, address)
    _search(file, loss, strategy, given, options, settings or (), config, out, where, quiet, log or ())


def tune_command(
    file: Tuned, loss: LossName = "", task: TaskName = None, fraction: Fraction = None, data: Data = None,
    noise: Noise = None, settings: Set = None, trainings: Trainings = None, fresh_seeds: Fresh = None,
    seed: Seed = None, device: Device = None, config: Toml = None, out: Out = Path("glo-out"),
    executor: ExecutorName = "in-process", workers: Workers = None, time_limit: TimeLimit = None,
    address: Address = None, quiet: Quiet = False, log: Log = None,
) -> None:  # fmt: skip
    """Search for better constants of a loss: its parameters, by CMA-ES (--set method=cma), gradient, or both."""
    given = _given(task, fraction, data, noise, trainings, fresh_seeds, seed, device)
    where = (executor, workers, time_limit, address)
    _search(file, loss, "constants", given, {}, settings or (), config, out, where, quiet, log or ())


def resume_command(
    directory: Annotated[Path, typer.Argument(help="Where the study is.", show_default=False)],
    executor: ExecutorName = "in-process", workers: Workers = None, time_limit: TimeLimit = None,
    address: Address = None, quiet: Quiet = False, log: Log = None,
) -> None:  # fmt: skip
    """Go on with a search that was interrupted, however it was; or tell again what it found."""
    check(log or ())
    from glo_dsl.cli.searching import shown
    from glo_dsl.evolve.session import Where, resume

    where = Where(executor, workers, time_limit, address)
    shown(lambda report: resume(directory, where, report, log or ()), directory, executor, quiet)


def front_command(
    directory: Annotated[Path, typer.Argument(help="Where the study is.", show_default=False)],
) -> None:
    """Print the losses that a search ended with, as .glo."""
    from glo_dsl.evolve.session import front_of

    typer.echo(front_of(directory), nl=False)


def _search(
    file: Path, name: str, strategy: str | None, given: Mapping[str, Any], options: Mapping[str, Any],
    settings: Sequence[str], toml: Path | None, out: Path, where: tuple[str, int | None, float | None, str | None],
    quiet: bool, logs: Sequence[str],
) -> None:  # fmt: skip
    check(logs)
    chosen = choose(read_losses(file), file, name)
    from glo_dsl.evolve.config import configured, read_toml, separated

    found = separated(read_toml(toml) if toml else {}, [_setting(text) for text in settings], strategy, options, given)
    if found.get("strategy", "islands") in ("islands", "glo"):
        from glo_dsl.evolve.space import space_of

        space_of(chosen)  # a mistake is answered before the tensor libraries are imported, which takes seconds
    config = configured(chosen.source.text, chosen.name, found)
    from glo_dsl.cli.searching import shown
    from glo_dsl.evolve.session import Where, begin

    shown(lambda report: begin(config, out, Where(*where), report, logs), out, where[0], quiet)


def _given(
    task: str | None, fraction: float | None, data: Path | None, noise: float | None, trainings: int | None,
    fresh_seeds: int | None, seed: int | None, device: str | None,
) -> dict[str, Any]:  # fmt: skip
    """What was said on the command line."""
    about = {"fraction": fraction, "data": None if data is None else str(data), "noise": noise}
    found: dict[str, Any] = {
        "task": task, "trainings": trainings, "fresh_seeds": fresh_seeds, "seed": seed, "device": device,
    }  # fmt: skip
    found = {name: value for name, value in found.items() if value is not None}
    return found | {"task_options": {name: value for name, value in about.items() if value is not None}}


def _setting(text: str) -> tuple[str, Any]:
    """`name=value`, the value as TOML has it, or a word."""
    import tomllib

    name, equals, value = text.partition("=")
    if not equals or not name.strip().isidentifier():
        raise GloError(f"--set {text} is no setting", hint="write name=value, such as --set population=40")
    try:
        return name.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return name.strip(), value.strip()
