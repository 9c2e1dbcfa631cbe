"""Stage: the lesions' classes."""
