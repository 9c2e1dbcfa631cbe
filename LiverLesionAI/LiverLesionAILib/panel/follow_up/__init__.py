"""The earlier scan in the panel: choice, pairs, response."""
