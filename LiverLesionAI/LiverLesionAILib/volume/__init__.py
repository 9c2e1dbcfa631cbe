"""A CT and arrays on its grid."""
