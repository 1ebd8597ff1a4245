"""Everything that can be said about a `.glo` text: the index of the manual, and the test of every message.

`what` completes "said when ..."; `example` is a text of which exactly this is said.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """One kind of diagnostic; `beside` is the text of a file `other.glo` next to the example's."""

    code: str
    what: str
    example: str
    beside: str = ""


SYNTAX = (
    Entry("assignment", "`=` stands where a comparison or a `let` is meant", "loss f(x: real) = x = 2"),
    Entry("bounds", "a domain is not written `in [low, high]`", "loss f(x: real in 0, 1) = x"),
    Entry("chained-comparison", "comparisons are chained", "loss f(x: real) = if 0 < x < 2 then x else 1"),
    Entry("decimal-comma", "a decimal number is written with a comma", "loss f(x: real) = 0,5 * x * x"),
    Entry("dot", "a name has a dot", "loss f(x: real) = torch.abs(x)"),
    Entry("double-star", "a power is written `**`", "loss f(x: real) = x ** 2"),
    Entry("hole-without-terms", "a hole lists no terms", "loss f(x: real) = ?h()"),
    Entry("incomplete-choice", "`then` or `else` is missing", "loss f(x: real) = if x > 0 then x"),
    Entry("incomplete-let", "the `in` of a `let` is missing", "loss f(x: real) = let y = x * x"),
    Entry("keyword-as-name", "a keyword stands where a name is due", "loss f(let: real) = 1"),
    Entry("law-name", "a law is not named after its loss", "loss f(x: real) = x * x  law positive: f(x) >= 0"),
    Entry("missing-default", "a parameter has no default", "loss f(x: real; a) = a * x * x"),
    Entry("missing-operand", "an operator has nothing on one side", "loss f(x: real) = x + then"),
    Entry("missing-operator", "two values stand side by side", "loss f(x: real) = 2 x"),
    Entry("missing-type", "an input has no type", "loss f(x) = x * x"),
    Entry("not-a-definition", "a line is no definition", "f(x) = x * x"),
    Entry("question-mark", "`?` stands after a condition", "loss f(x: real) = x > 0 ? x : 0"),
    Entry("second-axis", "a type has more than one axis", "loss f(z: real[N, C]) = sum(z)"),
    Entry("semicolon", "there is a `;` in a wrong place", "loss f(x: real) = x * x;"),
    Entry("string", "a text in quotes stands in an expression", 'loss f(x: real) = "x"'),
    Entry("tolerance", "`+-` stands in an expression", "loss f(x: real) = x +- 1"),
    Entry("too-deep", "brackets are nested too deep", "loss f(x: real) = " + "(" * 201 + "x" + ")" * 201),
    Entry("too-long", "a text is too long", "#" * 300_001),
    Entry("typed-def", "an argument of a `def` has a type", "def g(x: real) = x * x"),
    Entry("unclosed-bracket", "a bracket is never closed", "loss f(x: real) = exp(x"),
    Entry("unexpected-character", "a character means nothing here", "loss f(x: real) = x % 2"),
    Entry("unexpected-end", "the text ends too early", "loss f(x: real) = x +"),
    Entry("unexpected-token", "something else is due", "loss f(x: real) = * x"),
    Entry("unopened-bracket", "a bracket closes that was not opened", "loss f(x: real) = x * x)"),
)

NAMES = (
    Entry("ambiguous-import", "two imports bring the same name",
          'import std import "other.glo"  loss f(p: real, y: real) = mse(p, y)', "loss mse(p: real, y: real) = p * y"),
    Entry("declared-twice", "two inputs, parameters or arguments have one name", "loss f(x: real, x: real) = x * x"),
    Entry("defined-twice", "two definitions have one name", "def g(x) = x * x  def g(y) = y"),
    Entry("function-as-value", "a function is not called", "loss f(x: real) = log"),
    Entry("import-broken", "an imported file has an error of syntax", 'import "other.glo"', "def g(x = x"),
    Entry("import-of-itself", "a file imports itself", 'import "main.glo"'),
    Entry("import-outside", "an import leaves the folder of the file", 'import "../other.glo"'),
    Entry("import-suffix", "an imported file is no `.glo` file", 'import "other"'),
    Entry("import-unreadable", "an imported file cannot be read", 'import "missing.glo"'),
    Entry("import-without-file", "a text that is no file imports one", 'import "other.glo"'),
    Entry("no-inputs", "a loss has no inputs", "loss f() = 1"),
    Entry("recursion", "a function is defined by itself", "def g(x) = g(x)  loss f(x: real) = g(x)"),
    Entry("reserved-name", "a name has a fixed meaning", "loss f(pi: real) = pi * pi"),
    Entry("too-many-imports", "too many files are imported", 'import "other.glo"',
          "\n".join(f'import "other{n}.glo"' for n in range(101))),
    Entry("unknown-function", "a function does not exist", "loss f(z: real[C]) = sum(sotfmax(z))"),
    Entry("unknown-import", "something other than `std` or a file is imported", "import stdd"),
    Entry("unknown-name", "a name does not exist", "loss f(logits: real[C]) = sum(square(logitss))"),
    Entry("unused-argument", "a `def` does not use an argument (warning)", "def g(x, y) = x * x"),
    Entry("unused-binder", "a law does not use a name after `for` (warning)",
          "loss f(x: real) = x * x  law f.even: f(x) == f(-x) for k: real"),
    Entry("unused-input", "a loss does not use an input (warning)", "loss f(x: real, y: real) = x * x"),
    Entry("unused-let", "a local name is not used (warning)", "loss f(x: real) = let y = 2 in x * x"),
    Entry("unused-parameter", "a loss does not use a parameter (warning)", "loss f(x: real; a = 1) = x * x"),
    Entry("value-as-function", "a value is called", "loss f(x: real) = x(2)"),
)  # fmt: skip

TYPES = (
    Entry("argument-count", "a call has too many or too few arguments", "loss f(x: real) = log(x * x, 2)"),
    Entry("body-kind", "a loss is no real number", "loss f(x: real) = x > 0"),
    Entry("body-per-class", "a loss is a row instead of one number", "loss f(z: real[C]) = softmax(z)"),
    Entry("bool-expected", "a condition is due", "loss f(x: real) = if x then 1 else x"),
    Entry("class-expected", "a class index is due", "loss f(z: real[C], x: real) = z[x]"),
    Entry("comparison", "things of two kinds are compared", "loss f(x: real, b: bool) = if b == x then x else 1"),
    Entry("default-outside", "a default lies outside the bounds of its parameter",
          "loss f(x: real; a = 5 in [0, 1]) = a * x * x"),
    Entry("domain-of-no-real", "what is no number has a domain", "loss f(x: real, b: bool in [0, 1]) = x * x"),
    Entry("empty-domain", "a domain is empty", "loss f(x: real in [1, 0]) = x * x"),
    Entry("hole-term", "a term of a hole is no number", "loss f(x: real, b: bool) = ?h(x, b)"),
    Entry("loss-argument", "an argument does not fit an input of the called loss",
          "loss f(z: real[C], t: class[C]) = -log_softmax(z)[t]  loss g(z: real[C], x: real) = f(z, x)"),
    Entry("not-a-number", "a default or bound is no number", "loss f(x: real; a = nan) = a * x * x"),
    Entry("number-too-large", "a number is too large for a float64", "loss f(x: real) = 1e999 * x * x"),
    Entry("parameter-type", "a parameter is set to something that is no number",
          "loss f(x: real; a = 1) = a * x * x  loss g(z: real[C]) = sum(f(z; a = z))"),
    Entry("per-type", "what stands after `per` is not one number", "loss f(z: real[C]) = sum(z * z) per z"),
    Entry("real-expected", "a number is due", "loss f(z: real[C], t: class[C]) = sum(z * t)"),
    Entry("row-expected", "a row is due", "loss f(x: real) = sum(x)"),
    Entry("row-literal", "a list of numbers stands outside an example", "loss f(z: real[C]) = sum(z * [1, 2])"),
    Entry("set-twice", "a call sets a parameter twice",
          "loss f(x: real; a = 1) = a * x * x  loss g(x: real) = f(x; a = 1, a = 2)"),
    Entry("setting-outside", "a call sets a parameter outside its bounds",
          "loss f(x: real; a = 1 in [0, 2]) = a * x * x  loss g(x: real) = f(x; a = 3)"),
    Entry("settings-without-loss", "something that has no parameters gets some",
          "loss f(x: real) = exp(-x * x; a = 1)"),
    Entry("shared-class", "a class index is declared `shared`", "loss f(z: real[C], t: shared class[C]) = z[t]"),
    Entry("shared-number", "a number is declared `shared`", "loss f(x: real, w: shared real) = w * x * x"),
    Entry("too-many-nodes", "a loss has too many nodes", ""),
    Entry("too-many-terms", "definitions expand to too many terms", ""),
    Entry("unknown-axis", "an axis is not `[C]`", "loss f(z: real[K]) = sum(z)"),
    Entry("unknown-parameter", "a call sets a parameter that does not exist",
          "loss f(x: real; gamma = 1) = gamma * x * x  loss g(x: real) = f(x; gama = 3)"),
    Entry("unknown-type", "a type does not exist", "loss f(z: rael[C]) = sum(z)"),
)  # fmt: skip

CLAIMS = (
    Entry("claim-about-nothing", "a law or example is about no loss of the file",
          "loss huber(x: real) = x * x  law hubr.even: huber(x) == huber(-x)"),
    Entry("example-classes", "the rows of an example differ in length",
          "loss f(p: real[C], q: real[C]) = sum(p * q)  example f([1, 2], [1, 2, 3]) == 5"),
    Entry("example-form", "an example is not `loss(values) == value`", "loss f(x: real) = x * x  example f(2) > 3"),
    Entry("example-index", "a class index is not one of the classes",
          "loss f(z: real[C], t: class[C]) = -log_softmax(z)[t]  example f([1, 2], 2) == 1"),
    Entry("example-outside", "a value lies outside the domain of its input",
          "loss f(x: real in [0, 1]) = x * x  example f(2) == 4"),
    Entry("example-prob", "probabilities do not add up to 1",
          "loss f(q: prob[C]) = sum(q * q)  example f([1, 1]) == 2"),
    Entry("example-row", "a list is given for a number, or a number for a list",
          "loss f(z: real[C]) = sum(z * z)  example f(2) == 4"),
    Entry("example-value", "a value is of the wrong kind", "loss f(x: real) = x * x  example f(true) == 1"),
    Entry("law-no-condition", "a law is no condition", "loss f(x: real) = x * x  law f.even: f(x) - f(-x)"),
    Entry("law-without-loss", "a law does not call its loss (warning)", "loss f(x: real) = x * x  law f.l: x * x >= 0"),
    Entry("negative-tolerance", "a tolerance is negative", "loss f(x: real) = x * x  example f(2) == 4 +- -1"),
)  # fmt: skip

VALUES = (
    Entry("division-by-zero", "a divisor can be 0 (warning), or is (error)", "loss f(x: real, y: real) = x * x / y"),
    Entry("no-gradient", "the gradient by an input is 0 everywhere (warning)",
          "loss f(x: real, y: real) = sign(x) * y"),
    Entry("no-minimum", "a loss falls without end (warning)", "loss f(p: real, y: real) = p - y"),
    Entry("overflow", "`exp` can exceed the largest float32 (warning)", "loss f(x: real) = exp(x) - x"),
    Entry("undefined", "an operator can get what it is not defined for (warning), or does (error)",
          "loss f(p: real, y: real in [0, 1]) = p * log(y - 1)"),
)  # fmt: skip

CATALOGUE = {"syntax": SYNTAX, "names": NAMES, "types": TYPES, "laws and examples": CLAIMS, "values": VALUES}

ENTRIES: dict[str, Entry] = {entry.code: entry for group in CATALOGUE.values() for entry in group}


def index() -> str:
    """The index of diagnostics for the manual, in Markdown."""
    lines = []
    for title, group in CATALOGUE.items():
        lines += [f"**{title.capitalize()}**", "", "| code | said when | for example |", "|---|---|---|"]
        for entry in group:
            example = f"`{entry.example}`" if entry.example and len(entry.example) < 120 else ""
            lines.append(f"| `{entry.code}` | {entry.what} | {example.replace('|', chr(92) + '|')} |")
        lines.append("")
    return "\n".join(lines)
