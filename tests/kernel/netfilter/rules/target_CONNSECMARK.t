@mangle FORWARD
-j CONNSECMARK --save ; = ; ok
-j CONNSECMARK --restore ; = ; ok
-j CONNSECMARK --save --restore ; ; fail
-j CONNSECMARK ; ; fail
