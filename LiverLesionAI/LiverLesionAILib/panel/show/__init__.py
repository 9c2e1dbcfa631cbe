"""Panel: overlays, maps and views."""
