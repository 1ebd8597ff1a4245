"""What an editor asks of a `.glo` text while it is being written, and the language server that answers it."""
