"""Vessels, Couinaud segments and what a resection leaves."""
