@nat OUTPUT
-j NETMAP --to 1.2.3.0/24 ; = ; ok
