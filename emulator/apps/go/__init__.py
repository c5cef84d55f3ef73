"""How programs written in Go speak: their flags, numbers, errors, log lines and HTTP answers."""
