"""Panel: the table of findings, its details and its threshold."""
