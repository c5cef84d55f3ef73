@mangle PREROUTING
-j CLASSIFY --set-class 1:10 ; ; fail
