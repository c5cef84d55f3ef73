@filter FORWARD
-m mac --mac-source 00:11:22:33:44:55 -j ACCEPT ; = ; ok
-m mac ! --mac-source 00:11:22:33:44:FF ; -m mac ! --mac-source 00:11:22:33:44:ff ; ok
-m mac --mac-source 0:1:2:3:4:F ; -m mac --mac-source 00:01:02:03:04:0f ; ok
-m mac --mac-source 00:11:22:33:44 ; ; fail
-m mac --mac-source 00-11-22-33-44-55 ; ; fail
-m mac --mac-source 00:11:22:33:44:123 ; ; fail
-m mac ; ; fail
