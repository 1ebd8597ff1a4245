"""What the fixed words of the language mean, in a sentence each."""

from __future__ import annotations

from glo_dsl.ir.types import Type

TYPES = {
    "real": "a number",
    "real[C]": "a number for each class",
    "prob[C]": "a number in [0, 1] for each class, probabilities",
    "class[C]": "the index of a class, counted from 0",
    "bool": "a condition",
    "bool[C]": "a condition for each class",
    "shared real[C]": "a number for each class, the same for the whole batch, such as class weights",
    "shared prob[C]": "a number in [0, 1] for each class, the same for the whole batch",
    "shared bool[C]": "a condition for each class, the same for the whole batch",
}

VALUES = {
    "pi": "3.14159...",
    "inf": "infinity",
    "nan": "not a number",
    "C": "the number of classes",
}

DECLARED = {
    "input": "input",
    "parameter": "parameter",
    "argument": "argument",
    "binder": "variable of a law",
    "let": "local name",
}
"""The kinds of names that are values."""

KEYWORDS = {
    "loss": "a loss: `loss name(inputs; parameters) = expression`",
    "def": "a function, put in place wherever it is called: `def name(a, b) = expression`",
    "law": "a claim for all values: `law loss.name: condition for k: real`",
    "example": "a claimed value: `example loss(values) == value +- tolerance`",
    "import": 'names of another file: `import "other.glo"`, or of the library of losses: `import std`',
    "per": "what a sample adds to the divisor of the mean: `loss ... = expression per weight`",
    "for": "further variables of a law: `for k: real in [1, 2]`",
    "let": "local names: `let a = e1, b = e2 in e`",
    "in": "after `let` the expression that the names are for, after a declaration its bounds: `in [0, 1]`",
    "if": "a choice: `if condition then value else value`",
    "then": "a choice: `if condition then value else value`",
    "else": "a choice: `if condition then value else value`",
    "and": "both conditions",
    "or": "at least one of the conditions",
    "not": "the opposite of a condition",
    "true": "the condition that always holds",
    "false": "the condition that never holds",
    "shared": "the same for the whole batch: `weight: shared real[C]`",
}


def in_words(type: Type) -> str:
    """A type for readers: what there is one of, and for what.

    >>> from glo_dsl.ir.types import REAL_ROW, UNIFORM
    >>> in_words(REAL_ROW), in_words(UNIFORM)
    ('a number for each class', 'a number, the same for the whole batch')
    """
    noun = {"real": "a number", "bool": "a condition", "class": "the index of a class"}.get(type.kind, type.kind)
    axis = " for each class" if type.per_class else ""
    batch = "" if type.per_sample else ", the same for the whole batch"
    return noun + axis + batch
