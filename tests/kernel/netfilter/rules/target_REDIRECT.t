@nat PREROUTING
-p udp -j REDIRECT --to-ports 53 ; = ; ok
-p udp -j REDIRECT --to-ports 53-55 --random ; = ; ok
-j REDIRECT ; = ; ok
-j REDIRECT --to-ports 53 ; ; fail
-p tcp -j REDIRECT --to-ports http ; -p tcp -j REDIRECT --to-ports 80 ; ok
-p tcp -j REDIRECT --to-ports http-https ; ; fail
-p tcp -j REDIRECT --to-ports 80-90/85 ; ; fail
