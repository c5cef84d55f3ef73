"""The pages, and what opens above them."""
