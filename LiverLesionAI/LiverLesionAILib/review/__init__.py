"""What the reader does to a case in the scene; no Qt."""
