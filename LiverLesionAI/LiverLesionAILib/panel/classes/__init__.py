"""What the lesions may be: contrast phases, how often classes are met, LI-RADS."""
