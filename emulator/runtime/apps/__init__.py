"""Coroutines of the user's as programs of pods (`podwire/app`): found, run, listened to and kept inside."""
