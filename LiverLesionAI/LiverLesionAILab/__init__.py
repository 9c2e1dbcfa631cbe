"""The laboratory: synthesis, training, evaluation and comparisons; not installed in Slicer."""
