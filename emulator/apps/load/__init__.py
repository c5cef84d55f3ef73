"""Load generators: requests of one client to its targets, open or closed loop, counted and timed."""
