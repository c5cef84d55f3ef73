"""Scripted traffic: loads on all nodes at once, changes of the cluster meanwhile, and the report of what came of it."""
