"""How to have a search again, and how to ask its study: TOML, shell commands and SQL."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence

from glo_dsl.evolve.config import Config

QUERIES: Mapping[str, str] = {
    "The ten best losses by validation, at the learning rates they were trained at": """\
SELECT round(avg(e.fitness), 4) AS fitness, count(*) AS networks,
       json_extract(job.value, '$.rate') AS rate, json_extract(job.value, '$.text') AS loss
FROM evaluation e JOIN unit u ON u.id = e.unit, json_each(u.payload, '$.jobs') job
WHERE hex(e.class) = upper(json_extract(job.value, '$.key'))
  AND json_extract(u.payload, '$.part') = 'validation' AND e.rung = (SELECT max(rung) FROM evaluation)
GROUP BY e.class HAVING count(*) = count(e.fitness) ORDER BY avg(e.fitness) DESC LIMIT 10;""",
    "What became of the proposals": """\
SELECT CASE verdict WHEN '' THEN 'trained' ELSE verdict END AS fate, count(*) AS proposals,
       round(avg(complexity), 1) AS size
FROM candidate GROUP BY verdict ORDER BY proposals DESC;""",
    "Where the time went": """\
SELECT json_extract(u.payload, '$.part') AS judged_on, e.rung AS steps, count(*) AS networks,
       sum(e.fitness IS NULL) AS diverged, round(sum(e.seconds), 1) AS seconds
FROM evaluation e JOIN unit u ON u.id = e.unit GROUP BY 1, 2 ORDER BY seconds DESC;""",
}
"""Questions to a study in plain SQL."""


def toml_of(config: Config) -> str:
    """What `glo search --config` reads; the space and its loss are named on the command line.

    >>> print(toml_of(Config("...", "f", trainings=100, strategy_options={"population": 8}))[:30])
    task = "digits"
    strategy = ...
    """
    found = config.as_json()
    plain = {n: v for n, v in found.items() if n not in ("space", "loss") and not isinstance(v, Mapping)}
    lines = [f"{_key(name)} = {_value(value)}" for name, value in plain.items() if value is not None]
    for name, table in ((n, v) for n, v in found.items() if isinstance(v, Mapping) and v):
        entries = [f"{_key(key)} = {_value(value)}" for key, value in table.items() if value is not None]
        lines += ["", f"[{name}]", *entries]
    return "\n".join(lines) + "\n"


def commands(config: Config) -> str:
    """Shell commands that make the files and search again, whatever is in the texts."""
    files = {"space.glo": config.space, "search.toml": toml_of(config)}
    made = [f"printf '%s' {shlex.quote(text)} > {name}" for name, text in files.items()]
    search = ["glo", "search", "space.glo", f"--loss={config.loss}", "--config", "search.toml", "--out", "again"]
    return "\n".join([*made, shlex.join(search)])


def _key(name: str) -> str:
    bare = name.isascii() and name.replace("_", "").replace("-", "").isalnum()
    return name if bare else _text(name)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(str(k))} = {_value(v)}" for k, v in value.items() if v is not None) + "}"
    if isinstance(value, Sequence):
        return f"[{', '.join(_value(v) for v in value)}]"
    return repr(value)


def _text(text: str) -> str:
    """TOML writes texts as JSON does, and DEL too by its number."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
