"""Panel: the selected lesion's outline and the reader's actions on it."""
