"""Tasks of the user's own: `package.module:factory`, or `path/to/file.py:factory`. Their code is run, as asked for."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from types import ModuleType

from glo_dsl.errors import GloError, did_you_mean

Factory = Callable[..., object]


def factory_named(name: str) -> Factory:
    """The function that `MODULE:FACTORY` names. What goes wrong when it is called is a `GloError` with a place, too.

    A module is looked for in the current folder first, as by `python -m`. A file is run each time, and finds the
    modules beside it.

    Raises:
        GloError: no such module, file or function; or the module itself fails.

    >>> factory_named("glo_dsl.evolve.tasks.tabular:wine")().name
    'wine'
    """
    place, _, attribute = name.rpartition(":")
    if not place or not attribute:
        raise GloError(f"{name} names no task", hint="module:factory, or path/to/file.py:factory")
    from_file = place.endswith(".py")
    folder = Path(place).resolve().parent if from_file else Path.cwd()
    module = _file(Path(place), folder) if from_file else _module(place, folder)
    if not hasattr(module, attribute):
        known = [n for n, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
        hint = did_you_mean(attribute, known) or f"it has {', '.join(known) or 'no functions'}"
        raise GloError(f"{place} has no {attribute}", hint=hint)
    factory: Factory = getattr(module, attribute)
    if not callable(factory):
        raise GloError(f"{name} is of type {type(factory).__name__}", hint="a function that makes a Task")

    @wraps(factory)
    def called(**options: object) -> object:
        with _users_code(f"{name} failed", folder, module.__file__):
            return factory(**options)

    return called


@contextmanager
def _users_code(what: str, folder: Path, file: str | None) -> Iterator[None]:
    """The modules of `folder` can be imported; exceptions become a `GloError` with the line of `file`."""
    sys.path.insert(0, str(folder))
    try:
        yield
    except GloError:
        raise
    except (Exception, SystemExit) as error:
        said = "".join(traceback.format_exception_only(error)).strip().splitlines()[-1]
        raise GloError(f"{what}: {said}", hint=_place(error, file)) from None
    finally:
        if str(folder) in sys.path:
            sys.path.remove(str(folder))


def _place(error: BaseException, file: str | None) -> str | None:
    if isinstance(error, SyntaxError):
        return f"at {error.filename}, line {error.lineno}"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename != __file__ and f.filename[:1] != "<"]
    last = next((f for f in reversed(frames) if f.filename == file), frames[-1] if frames else None)
    return None if last is None else f"raised at {last.filename}, line {last.lineno}: {last.line}"


def _module(name: str, folder: Path) -> ModuleType:
    with _users_code(f"cannot import {name}", folder, None):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise  # it is there, but imports something that is not
            hint = f"looked for in {folder} and where Python looks"
            raise GloError(f"no module {error.name}", hint=hint) from None


def _file(path: Path, folder: Path) -> ModuleType:
    if not path.is_file():
        raise GloError(f"no file {path.absolute()}", hint="path/to/file.py:factory")
    name, place = f"glo_task_{path.stem}", str(path.resolve())
    spec = importlib.util.spec_from_file_location(name, place)
    assert spec is not None and spec.loader is not None  # its name ends in .py
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look there
    with _users_code(f"cannot run {path}", folder, place):
        spec.loader.exec_module(module)
    return module
