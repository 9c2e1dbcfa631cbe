"""Stage: what the networks attended to."""
