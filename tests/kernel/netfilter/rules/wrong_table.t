@filter FORWARD
-j DNAT --to-destination 10.0.0.1 ; ; fail
-j MASQUERADE ; ; fail
-j CT --notrack ; ; fail
-j CHECKSUM --checksum-fill ; ; fail
-j NETMAP --to 1.2.3.0/24 ; ; fail
