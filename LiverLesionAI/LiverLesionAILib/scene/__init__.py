"""A case as nodes of a MRML scene, and back."""
