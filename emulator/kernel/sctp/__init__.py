"""SCTP (RFC 9260) as a state machine without I/O, between one address each: one-to-one sockets of whole messages.

A packet comes in at `protocol.py`, which finds its association; `chunks.py` decides what each chunk means; `inbound.py`
puts messages together, `outbound.py` cuts them and knows what is on its way; `association.py` is the program's side.
Left out: more than one address a side, authentication, partial reliability, changes of addresses and streams.
"""
