@raw PREROUTING
-j CT --notrack ; = ; ok
-j NOTRACK ; = ; ok
-j CT --zone 5 ; = ; ok
-j CT --zone 70000 ; ; fail
