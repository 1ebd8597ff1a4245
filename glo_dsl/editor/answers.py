"""What is known of a document, as the protocol wants it said."""

from __future__ import annotations

from lsprotocol import types

from glo_dsl.editor.calls import open_call
from glo_dsl.editor.completion import Proposal, completions, documented
from glo_dsl.editor.document import Document, range_in
from glo_dsl.editor.fixes import Fix, fixes
from glo_dsl.editor.hover import hover
from glo_dsl.editor.places import Symbol, symbols, target_of
from glo_dsl.editor.positions import Lines
from glo_dsl.editor.rename import Edit, renamable, rename
from glo_dsl.editor.scope import Occurrence
from glo_dsl.editor.signature import Signature
from glo_dsl.errors import WARNING, Diagnostic, GloError

KINDS = {
    "value": types.CompletionItemKind.Variable,
    "parameter": types.CompletionItemKind.Property,
    "function": types.CompletionItemKind.Function,
    "keyword": types.CompletionItemKind.Keyword,
    "type": types.CompletionItemKind.Class,
    "constant": types.CompletionItemKind.Constant,
    "file": types.CompletionItemKind.File,
}

SYMBOLS = {
    "loss": types.SymbolKind.Function,
    "def": types.SymbolKind.Function,
    "law": types.SymbolKind.Property,
    "example": types.SymbolKind.Constant,
}


def markdown(text: str) -> types.MarkupContent:
    return types.MarkupContent(types.MarkupKind.Markdown, text)


def diagnostic_of(document: Document, found: Diagnostic) -> types.Diagnostic:
    """A message at its place; one without a place stands at the first character."""
    start, end = document.lines.of_span(found.span) if found.span is not None else (0, 0)
    severity = types.DiagnosticSeverity.Warning if found.severity == WARNING else types.DiagnosticSeverity.Error
    tags = [types.DiagnosticTag.Unnecessary] if found.code.startswith("unused-") else None
    message = f"{found.message}\n{found.hint}" if found.hint else found.message
    return types.Diagnostic(document.range(start, end), message, severity, found.code or None, None, "glo", tags)


def hover_at(document: Document, position: types.Position) -> types.Hover | None:
    found = hover(document.reading, document.offset(position))
    return None if found is None else types.Hover(markdown(found.text), document.range(found.start, found.end))


def definition_at(document: Document, position: types.Position) -> types.Location | None:
    target = target_of(document.library, document.offset(position))
    if target is None:
        return None
    if target.path is None:
        return types.Location(document.uri, document.range(target.start, target.end))
    lines = Lines(target.text, document.encoding)
    return types.Location(target.path.as_uri(), range_in(lines, target.start, target.end))


def occurrences_at(document: Document, position: types.Position) -> list[Occurrence]:
    """Everywhere that the name at a position stands, if the document declares it."""
    names = document.library.names
    found = names.at(document.offset(position))
    return names.of(found.declaration) if found is not None and found.declaration is not None else []


def references_at(document: Document, position: types.Position, declared: bool) -> list[types.Location]:
    found = [o for o in occurrences_at(document, position) if declared or o.role != "declaration"]
    return [types.Location(document.uri, document.range(o.word.start, o.word.end)) for o in found]


def highlights_at(document: Document, position: types.Position) -> list[types.DocumentHighlight]:
    kinds = {"declaration": types.DocumentHighlightKind.Write}
    return [
        types.DocumentHighlight(
            document.range(o.word.start, o.word.end), kinds.get(o.role, types.DocumentHighlightKind.Read)
        )
        for o in occurrences_at(document, position)
    ]


def renamable_at(document: Document, position: types.Position) -> types.Range | None:
    found = renamable(document.text, document.offset(position))
    return document.range(found.word.start, found.word.end) if found is not None else None


def rename_at(document: Document, position: types.Position, name: str) -> types.WorkspaceEdit | None:
    """The edits of a new name.

    Raises:
        GloError: why not.
    """
    edits = rename(document.text, document.offset(position), name)
    return _edit(document, edits) if edits is not None else None


def _edit(document: Document, edits: list[Edit]) -> types.WorkspaceEdit:
    made = [types.TextEdit(document.range(edit.start, edit.end), edit.text) for edit in edits]
    return types.WorkspaceEdit(changes={document.uri: made})


def symbols_of(document: Document) -> list[types.DocumentSymbol]:
    return [_symbol(document, symbol) for symbol in symbols(document.library)]


def _symbol(document: Document, symbol: Symbol) -> types.DocumentSymbol:
    whole = document.range(symbol.start, symbol.end)
    name = document.range(symbol.name_start, symbol.name_end)
    detail = f"{symbol.kind} {symbol.detail}".strip()
    return types.DocumentSymbol(symbol.name, SYMBOLS[symbol.kind], whole, name, detail)


def completions_at(document: Document, position: types.Position) -> list[types.CompletionItem]:
    found = completions(document.library, document.offset(position))
    return [_item(document, place, proposal) for place, proposal in enumerate(found)]


def _item(document: Document, place: int, proposal: Proposal) -> types.CompletionItem:
    return types.CompletionItem(
        proposal.label, kind=KINDS[proposal.kind], detail=proposal.detail or None, sort_text=f"{place:05}",
        text_edit=types.TextEdit(document.range(proposal.start, proposal.end), proposal.label),
        data={"uri": document.uri} if proposal.kind == "function" else None,
    )  # fmt: skip


def document_item(document: Document, item: types.CompletionItem) -> types.CompletionItem:
    """A proposed function with its documentation."""
    text = documented(document.library, item.label)
    item.documentation = markdown(text) if text else None
    return item


def signatures_at(document: Document, position: types.Position) -> types.SignatureHelp | None:
    call = open_call(document.library, document.offset(position))
    if call is None:
        return None
    signatures = [_signature(signature, call.active) for signature in call.signatures]
    return types.SignatureHelp(signatures, call.best, call.active)


def _signature(signature: Signature, active: int) -> types.SignatureInformation:
    label = str(signature)
    parameters, place = [], len(signature.name)
    for text in (*signature.arguments, *signature.settings):
        place = label.index(text, place)  # as offsets: the text alone would be found in the name of the function
        parameters.append(types.ParameterInformation((place, place + len(text))))
        place += len(text)
    return types.SignatureInformation(label, markdown(signature.doc), parameters, active)


def formatted(document: Document) -> list[types.TextEdit] | None:
    """One edit of the whole text; None while it is no `.glo` text, as half of one has no layout."""
    from glo_dsl.lang.format import format_text

    try:
        text = format_text(document.text, document.name)
    except GloError:
        return None
    if text == document.text:
        return []
    return [types.TextEdit(document.range(0, len(document.text)), text)]


def fixes_at(document: Document, chosen: types.Range) -> list[types.CodeAction]:
    """The ways out of what is wrong in a range."""
    first, last = document.offset(chosen.start), document.offset(chosen.end)
    actions = []
    for found in document.diagnostics:
        if found.span is None:
            continue
        start, end = document.lines.of_span(found.span)
        if start <= last and first <= end:
            actions += [_action(document, found, fix) for fix in fixes(document.library, found)]
    return actions


def _action(document: Document, found: Diagnostic, fix: Fix) -> types.CodeAction:
    return types.CodeAction(
        fix.title, types.CodeActionKind.QuickFix, [diagnostic_of(document, found)],
        is_preferred=True, edit=_edit(document, list(fix.edits)),
    )  # fmt: skip
