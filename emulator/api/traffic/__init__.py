"""Scripted traffic as values, and the TOML files that say it."""
