"""Stage: what was found, on the CT's own grid."""
