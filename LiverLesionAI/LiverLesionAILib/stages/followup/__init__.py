"""Stage: this scan beside an earlier one: livers registered, lesions paired, changes measured."""
