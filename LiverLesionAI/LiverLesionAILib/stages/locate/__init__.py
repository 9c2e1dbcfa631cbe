"""Stage: where the liver is."""
