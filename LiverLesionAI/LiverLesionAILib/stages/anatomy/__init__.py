"""Vessels, landmarks and Couinaud segments of a liver."""
