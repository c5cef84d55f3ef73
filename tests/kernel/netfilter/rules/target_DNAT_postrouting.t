@nat POSTROUTING
-j DNAT --to-destination 10.0.0.1 ; ; fail
-j REDIRECT ; ; fail
