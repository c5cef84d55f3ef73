@mangle PREROUTING
-m realm --realm 5 ; ; fail
