"""TOML files to checked values, with the line of each problem."""
