"""Stage: the contrast phase."""
