@nat POSTROUTING
-j NETMAP --to 1.2.3.0/24 ; = ; ok
