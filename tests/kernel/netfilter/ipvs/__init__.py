"""Tests of the IPVS engine. The kernel here has none: what is held are its source's tables and documented behaviour."""
