"""YAML text to nodes that know their lines, within limits."""
