@filter FORWARD
-j TTL --ttl-set 5 ; ; fail
