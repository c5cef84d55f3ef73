@mangle FORWARD
-p tcp -j TPROXY --on-port 5 ; ; fail
