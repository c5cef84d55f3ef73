@nat PREROUTING
-p udp -j REDIRECT --to-ports 53 ; = ; ok
-p udp -j REDIRECT --to-ports 53-55 --random ; = ; ok
-j REDIRECT ; = ; ok
-j REDIRECT --to-ports 53 ; ; fail
