"""Files that are damaged or contradict themselves, thrown at the reader by the thousand."""
