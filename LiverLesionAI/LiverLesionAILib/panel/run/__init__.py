"""Panel: input, models, worker, progress."""
