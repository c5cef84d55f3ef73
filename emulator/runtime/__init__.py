"""The only place with trio and real sockets: processes, the underlay, timers, the control protocol."""
