"""Many cases as one page."""
