"""What an analysis hands back, in words that scene, tables and reports share, and its store."""
