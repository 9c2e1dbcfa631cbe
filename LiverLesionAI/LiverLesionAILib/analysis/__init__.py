"""From a CT to a case: settings, the row of stages, the worker that computes for the panel."""
