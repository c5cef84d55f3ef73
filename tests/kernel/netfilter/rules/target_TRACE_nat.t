@nat OUTPUT
-j TRACE ; = ; ok
