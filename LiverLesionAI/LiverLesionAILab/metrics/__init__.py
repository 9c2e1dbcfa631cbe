"""Figures of masks, lesions, boxes and classes against their truth."""
