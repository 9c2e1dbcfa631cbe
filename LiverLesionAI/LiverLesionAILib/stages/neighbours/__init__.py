"""Organs beside the liver that are taken for a part or a lesion of it."""
