"""What every room may use: errors, progress, steps, files."""
