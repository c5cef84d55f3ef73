"""The process of what lies outside the nodes."""
