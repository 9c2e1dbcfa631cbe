"""A folder of many cases, read one after the other."""
