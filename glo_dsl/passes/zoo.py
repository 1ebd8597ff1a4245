"""The library of losses that comes with the package, each with its source, its laws and its examples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache

from glo_dsl.errors import did_you_mean
from glo_dsl.lang.definitions import losses_of
from glo_dsl.lang.loss import Loss
from glo_dsl.lang.zoo_files import zoo_index, zoo_text


class Zoo(Mapping[str, Loss]):
    """The losses of the library by name.

    >>> import glo_dsl as glo
    >>> glo.zoo["focal"]
    <loss focal(z: real[C], t: class[C], gamma=2)>
    >>> "cross_entropy" in glo.zoo and len(glo.zoo) > 100
    True
    """

    def __getitem__(self, name: str) -> Loss:
        if name not in zoo_index():
            hint = did_you_mean(name, self)
            raise KeyError(f"the zoo has no loss {name}" + (f"; {hint}" if hint else ""))
        return _losses(zoo_index()[name])[name]

    def __iter__(self) -> Iterator[str]:
        return iter(zoo_index())

    def __len__(self) -> int:
        return len(zoo_index())

    def family(self, name: str) -> str:
        """The family that a loss belongs to: the name of its file."""
        return zoo_index()[name].removesuffix(".glo")

    def search(self, words: str) -> list[str]:
        """The losses whose name, family or documentation has all the words, upper or lower case, best first.

        >>> Zoo().search("label smoothing")[0]
        'smoothed_cross_entropy'
        """
        wanted = words.lower().split()
        found = []
        for name in self:
            texts = (name, self.family(name).replace("_", " "), self[name].doc.lower())
            if all(any(word in text for text in texts) for word in wanted):
                found.append((sum(word not in name for word in wanted), name))
        return [name for _, name in sorted(found)]


@cache
def _losses(file: str) -> dict[str, Loss]:
    return losses_of(zoo_text(file), file)
