"""TCP (RFC 9293) as a state machine without I/O: segments go out by `netns.ip.output`, time is `kernel.now`.

A segment comes in at `protocol.py`, which finds its connection; `input.py` decides what it means; `receive_queue.py`
keeps what came, `send_queue.py` what was sent; `recovery.py` reads acknowledgements; `output.py` builds what goes out.
"""
