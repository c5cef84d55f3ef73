@mangle POSTROUTING
-p udp -j CHECKSUM --checksum-fill ; = ; ok
-p udp -j CHECKSUM ; ; fail
