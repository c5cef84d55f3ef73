@filter INPUT
-p tcp -j TPROXY --on-port 5 ; ; fail
