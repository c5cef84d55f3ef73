@nat POSTROUTING
-j MASQUERADE ; = ; ok
-j MASQUERADE --random-fully ; = ; ok
-p tcp -j MASQUERADE --to-ports 1000-2000 --random ; = ; ok
-p tcp -j MASQUERADE --to-ports 1000 ; = ; ok
-j MASQUERADE --to-ports 1000 ; ; fail
-s 10.244.0.0/16 ! -o cbr0 -j MASQUERADE ; = ; ok
