"""PNG pictures of a case, made without a display."""
