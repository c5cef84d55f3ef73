@filter FORWARD
-m connmark --mark 0x10/0xff -j ACCEPT ; = ; ok
-m connmark ! --mark 5 -j ACCEPT ; -m connmark ! --mark 0x5 -j ACCEPT ; ok
-m connmark -j ACCEPT ; ; fail
