@filter FORWARD
-m mark --mark 0x4000/0x4000 -j ACCEPT ; = ; ok
-m mark ! --mark 1 -j ACCEPT ; -m mark ! --mark 0x1 -j ACCEPT ; ok
-m mark --mark 0x10/0xff -j ACCEPT ; = ; ok
-m mark --mark 16 -j ACCEPT ; -m mark --mark 0x10 -j ACCEPT ; ok
-m mark --mark 010 -j ACCEPT ; -m mark --mark 0x8 -j ACCEPT ; ok
-m mark --mark 0xffffffff -j ACCEPT ; = ; ok
-m mark --mark 0x100000000 -j ACCEPT ; ; fail
-m mark --mark x -j ACCEPT ; ; fail
-m mark -j ACCEPT ; ; fail
