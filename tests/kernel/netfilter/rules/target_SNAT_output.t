@nat OUTPUT
-j SNAT --to-source 1.2.3.4 ; ; fail
-j MASQUERADE ; ; fail
