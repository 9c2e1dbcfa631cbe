"""Report, export for the archive, and import: buttons over a child process."""
