"""From control messages to rows, without Textual, clock or sockets: times are passed in."""
