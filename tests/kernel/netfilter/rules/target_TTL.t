@mangle FORWARD
-j TTL --ttl-set 64 ; = ; ok
-j TTL --ttl-inc 1 ; = ; ok
-j TTL --ttl-dec 255 ; = ; ok
-j TTL --ttl-set 0 ; = ; ok
-j TTL --ttl-dec 0 ; ; fail
-j TTL --ttl-inc 256 ; ; fail
-j TTL --ttl-inc 1 --ttl-dec 1 ; ; fail
-j TTL ; ; fail
