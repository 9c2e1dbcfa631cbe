"""Stage: diameters, volumes and HU."""
