@mangle FORWARD
-m socket ; ; fail
