@raw PREROUTING
-p tcp -j TRACE ; = ; ok
-j TRACE --foo ; ; fail
