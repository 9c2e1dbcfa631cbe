"""Stage: boxes, and lesions of masks and boxes."""
