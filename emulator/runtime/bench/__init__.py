"""`emulator bench`: measures the product as its users meet it, in processes of its own, and the datapath inside one."""
